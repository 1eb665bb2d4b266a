"""The evaluation's prompts, and when an image counts as right.

Single objects come from the combinations of object, colour and background that training never saw;
so does the first object of every pair and of every group.
"""

import random
from dataclasses import dataclass

from training.held_out import held_out
from training.image_analysis import Detection
from training.objects import KINDS
from training.palette import NAMES, alike
from training.scene_specs import PLACES, ObjectScene, SceneObject

REGION_OF_A_GROUP = 0.3  # a region below this share of the largest is not counted as an object
TRACE = 0.03  # a colour that covers this share of the image counts as present


@dataclass(frozen=True)
class EvalSet:
    """The prompts of one evaluation."""

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
        obj = SceneObject(kind or rng.choice(KINDS), rng.choice(NAMES))
        ground = rng.choice(NAMES)
        if held_out(obj.kind, obj.colour, ground) and not alike(obj.colour, ground):
            return obj, ground


def _single(rng: random.Random, number: int) -> ObjectScene:
    """Every kind in turn; two thirds in the middle (a sixth small, a sixth large), the rest off
    centre."""
    obj, ground = _unseen(rng, KINDS[number % len(KINDS)])
    size, place = "", "center"
    lot = rng.random()
    if lot < 1 / 6:
        size = "small"
    elif lot < 2 / 6:
        size = "big"
    elif lot < 4 / 6:
        place = rng.choice(tuple(PLACES))
    return ObjectScene((SceneObject(obj.kind, obj.colour, size, place),), ground)


def _group(rng: random.Random, count: int) -> ObjectScene:
    obj, ground = _unseen(rng)
    return ObjectScene((obj,), ground, count=count)


def _pair(rng: random.Random) -> ObjectScene:
    first, ground = _unseen(rng)
    relation = rng.choice(("left of", "above"))
    while True:
        second = SceneObject(rng.choice(KINDS), rng.choice(NAMES))
        if not any(alike(second.colour, c) for c in (first.colour, ground)):
            break
    places = ("left", "right") if relation == "left of" else ("top", "bottom")
    objects = (
        SceneObject(first.kind, first.colour, "", places[0]),
        SceneObject(second.kind, second.colour, "", places[1]),
    )
    return ObjectScene(objects, ground, relation=relation, count=2)


# ---------------------------------------------------------------- when is an image right?


def background_right(wanted: ObjectScene, detection: Detection) -> bool:
    return detection.background == wanted.background


def colour_right(wanted: ObjectScene, detection: Detection) -> bool:
    """Most of the largest object's pixels are nearest to the requested colour."""
    return bool(detection.regions) and detection.regions[0].colour == wanted.objects[0].colour


def place_right(wanted: ObjectScene, detection: Detection) -> bool:
    return (
        bool(detection.regions) and detection.cell(detection.regions[0]) == wanted.objects[0].place
    )


def objects(detection: Detection) -> int:
    if not detection.regions:
        return 0
    largest = detection.regions[0].area
    return sum(region.area > REGION_OF_A_GROUP * largest for region in detection.regions)


def count_right(wanted: ObjectScene, detection: Detection) -> bool:
    return objects(detection) == wanted.count


def pair_right(wanted: ObjectScene, detection: Detection) -> bool:
    """Two objects: the first one's colour on the first one's side, the second's on the other."""
    if len(detection.regions) < 2:
        return False
    axis = 0 if wanted.relation == "left of" else 1
    first, second = sorted(detection.regions[:2], key=lambda region: region.middle[axis])
    return (first.colour, second.colour) == tuple(obj.colour for obj in wanted.objects)


def colour_gone(colour: str, detection: Detection) -> bool:
    """Neither the background nor any large object has this colour."""
    total = detection.size[0] * detection.size[1]
    seen = sum(region.area * region.colours[colour] for region in detection.regions) / total
    return detection.background != colour and seen < TRACE
