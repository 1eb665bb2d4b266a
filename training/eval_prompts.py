"""What is asked of the model, and when an answer counts as right.

Single objects come from the combinations of object, colour and background that training never
saw; so does the first object of every pair and of every group.
"""

import random
from dataclasses import dataclass

from training.image_analysis import Detection
from training.objects import KINDS
from training.palette import NAMES, alike
from training.scene_specs import PLACES, ObjectScene, SceneObject, held_out

REGION_OF_A_GROUP = 0.3  # a region of less than this share of the largest is not another object
TRACE = 0.03  # of the picture: so much of a colour and it is "there"


@dataclass(frozen=True)
class EvalSet:
    """All questions of one sitting."""

    singles: tuple[ObjectScene, ...]
    groups: tuple[ObjectScene, ...]
    pairs: tuple[ObjectScene, ...]


def draw_paper(singles: int = 240, groups: int = 80, pairs: int = 80, seed: int = 2026) -> EvalSet:
    rng = random.Random(seed)
    return EvalSet(
        tuple(_single(rng, i) for i in range(singles)),
        tuple(_group(rng, 2 + i % 2) for i in range(groups)),
        tuple(_pair(rng) for _ in range(pairs)),
    )


def _unseen(rng: random.Random, kind: str = "") -> tuple[SceneObject, str]:
    while True:
        thing = SceneObject(kind or rng.choice(KINDS), rng.choice(NAMES))
        ground = rng.choice(NAMES)
        if held_out(thing.kind, thing.colour, ground) and not alike(thing.colour, ground):
            return thing, ground


def _single(rng: random.Random, number: int) -> ObjectScene:
    """Every kind in turn; two thirds in the middle (a sixth small, a sixth big), the rest aside."""
    thing, ground = _unseen(rng, KINDS[number % len(KINDS)])
    size, place = "", "center"
    lot = rng.random()
    if lot < 1 / 6:
        size = "small"
    elif lot < 2 / 6:
        size = "big"
    elif lot < 4 / 6:
        place = rng.choice(tuple(PLACES))
    return ObjectScene((SceneObject(thing.kind, thing.colour, size, place),), ground)


def _group(rng: random.Random, count: int) -> ObjectScene:
    thing, ground = _unseen(rng)
    return ObjectScene((thing,), ground, count=count)


def _pair(rng: random.Random) -> ObjectScene:
    first, ground = _unseen(rng)
    relation = rng.choice(("left of", "above"))
    while True:
        second = SceneObject(rng.choice(KINDS), rng.choice(NAMES))
        if not any(alike(second.colour, c) for c in (first.colour, ground)):
            break
    places = ("left", "right") if relation == "left of" else ("top", "bottom")
    things = (
        SceneObject(first.kind, first.colour, "", places[0]),
        SceneObject(second.kind, second.colour, "", places[1]),
    )
    return ObjectScene(things, ground, relation=relation, count=2)


# ---------------------------------------------------------------- when is it right?


def background_right(asked: ObjectScene, found: Detection) -> bool:
    return found.background == asked.background


def colour_right(asked: ObjectScene, found: Detection) -> bool:
    """Most of the largest object's pixels lie nearest to the colour asked for."""
    return bool(found.regions) and found.regions[0].colour == asked.things[0].colour


def place_right(asked: ObjectScene, found: Detection) -> bool:
    return bool(found.regions) and found.cell(found.regions[0]) == asked.things[0].place


def objects(found: Detection) -> int:
    if not found.regions:
        return 0
    largest = found.regions[0].area
    return sum(region.area > REGION_OF_A_GROUP * largest for region in found.regions)


def count_right(asked: ObjectScene, found: Detection) -> bool:
    return objects(found) == asked.count


def pair_right(asked: ObjectScene, found: Detection) -> bool:
    """Two objects, the first one's colour on the first one's side, the second's on the other."""
    if len(found.regions) < 2:
        return False
    axis = 0 if asked.relation == "left of" else 1
    first, second = sorted(found.regions[:2], key=lambda region: region.middle[axis])
    return (first.colour, second.colour) == tuple(thing.colour for thing in asked.things)


def colour_gone(colour: str, found: Detection) -> bool:
    """Neither the background nor any object of note is of this colour."""
    total = found.size[0] * found.size[1]
    seen = sum(region.area * region.colours[colour] for region in found.regions) / total
    return found.background != colour and seen < TRACE
