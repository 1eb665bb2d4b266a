"""The content of the training images (their specs), drawn at random from a seed.

`ObjectScene` is one to three objects on a background, `Scene` a landscape. A spec has what a
caption may mention; the rest (exact place, shade, tilt) is drawn from the seed too. The same seed
is the same image, on every machine with the same Pillow.
"""

import random
from dataclasses import dataclass

from training.arrangements import (
    Arrangement,
    sample_arrangement,
    sample_group,
    sample_in_landscape,
    sample_newer_object,
    sample_overlap,
    sample_two_coloured,
)
from training.held_out import held_out
from training.objects import KINDS
from training.palette import NAMES, alike
from training.scenes import Scene, pick_scene

PLACES: dict[str, tuple[float, float]] = {
    "center": (0.5, 0.5),
    "left": (0.26, 0.5),
    "right": (0.74, 0.5),
    "top": (0.5, 0.26),
    "bottom": (0.5, 0.74),
    "top left": (0.26, 0.26),
    "top right": (0.74, 0.26),
    "bottom left": (0.26, 0.74),
    "bottom right": (0.74, 0.74),
}
SIZES = ("", "small", "big")
PATTERNS = ("plain", "gradient", "striped", "checkered", "dotted")
STYLES = ("", "watercolor", "pixel art", "line drawing")
RELATIONS = ("", "and", "left of", "above")


@dataclass(frozen=True)
class SceneObject:
    kind: str
    colour: str
    size: str = ""
    place: str = "center"


@dataclass(frozen=True)
class ObjectScene:
    """`relation` is between two different things; `count` > 1 repeats the one thing in a row."""

    objects: tuple[SceneObject, ...]
    background: str
    second: str = ""  # the other colour of a pattern
    pattern: str = "plain"
    relation: str = ""
    count: int = 1
    style: str = ""


Spec = ObjectScene | Scene
AnySpec = Spec | Arrangement


@dataclass(frozen=True)
class MixRatios:
    """Shares of the kinds of picture; what is left over is one object."""

    scene: float
    pair: float
    several: float
    empty: float
    pattern: float
    style: float
    arrangement: float = 0.0
    newer: float = 0.0
    overlap: float = 0.0
    landscape: float = 0.0
    two_coloured: float = 0.0
    group: float = 0.0


PLAIN = MixRatios(scene=0.10, pair=0.10, several=0.08, empty=0.02, pattern=0.10, style=0.05)
FULL = MixRatios(scene=0.18, pair=0.15, several=0.10, empty=0.02, pattern=0.18, style=0.14)
# Whose colour is whose is the last thing learnt, and it is learnt from nothing else.
PAIRS = MixRatios(scene=0.04, pair=0.66, several=0.10, empty=0.0, pattern=0.08, style=0.04)
# More objects, relations, places and wordings, and enough of the rest not to forget it.
RICH = MixRatios(
    scene=0.06, pair=0.45, several=0.10, empty=0.02, pattern=0.12, style=0.08, arrangement=0.6
)
# The newer objects, whose shapes are learned last, and mostly one at a time.
NEWER = MixRatios(
    scene=0.05,
    pair=0.4,
    several=0.1,
    empty=0.02,
    pattern=0.1,
    style=0.06,
    arrangement=0.8,
    newer=0.6,
)
# One object inside or in front of another: few latents, whose colour is neither neighbour's.
OVERLAPS = MixRatios(
    scene=0.05, pair=0.4, several=0.1, empty=0.02, pattern=0.1, style=0.0, overlap=0.9
)
# An object in a landscape is small: of the free wordings that failed, half had a landscape.
LANDSCAPES = MixRatios(
    scene=0.05,
    pair=0.4,
    several=0.1,
    empty=0.02,
    pattern=0.1,
    style=0.0,
    arrangement=0.5,
    landscape=0.85,
)
# Objects of two colours, and more than three of a kind.
DETAILS = MixRatios(
    scene=0.05,
    pair=0.3,
    several=0.1,
    empty=0.02,
    pattern=0.2,
    style=0.1,
    two_coloured=0.5,
    group=0.6,
)


def sample_any_spec(rng: random.Random, mix: MixRatios) -> AnySpec:
    """A spec of any kind; without arrangements in the mix, the one that `sample_spec` draws."""
    if mix.overlap and rng.random() < mix.overlap:
        return sample_overlap(rng)
    if mix.landscape and rng.random() < mix.landscape:
        return sample_in_landscape(rng)
    if mix.two_coloured and rng.random() < mix.two_coloured:
        return sample_two_coloured(rng)
    if mix.group and rng.random() < mix.group:
        return sample_group(rng)
    if mix.newer and rng.random() < mix.newer:
        return sample_newer_object(rng)
    if mix.arrangement and rng.random() < mix.arrangement:
        return sample_arrangement(rng)
    return sample_spec(rng, mix)


def sample_spec(rng: random.Random, mix: MixRatios) -> Spec:
    if rng.random() < mix.scene:
        return pick_scene(rng)
    lot = rng.random() * (1 - mix.scene)
    style = rng.choice(STYLES[1:]) if rng.random() < mix.style else ""
    pattern = rng.choice(PATTERNS[1:]) if rng.random() < mix.pattern else "plain"
    if style == "line drawing":
        pattern = "plain"
    background = rng.choice(NAMES)
    second = ""
    if pattern != "plain":
        second = rng.choice([c for c in NAMES if c != background and not alike(c, background)])
    taken = (background, second) if second else (background,)
    if lot < mix.empty:
        return ObjectScene((), background, second, pattern, count=0, style="")
    if lot < mix.empty + mix.pair:
        return _pick_pair(rng, taken, pattern, style)
    obj = _pick_thing(rng, taken)
    if lot < mix.empty + mix.pair + mix.several:
        count = rng.choice((2, 3))
        return ObjectScene((obj,), background, second, pattern, count=count, style=style)
    size = rng.choice(("", "", "", "", "small", "big"))
    place = rng.choice((*("center",) * 9, *PLACES))
    if size == "big":
        place = "center"
    obj = SceneObject(obj.kind, obj.colour, size, place)
    return ObjectScene((obj,), background, second, pattern, style=style)


def _pick_thing(rng: random.Random, taken: tuple[str, ...]) -> SceneObject:
    while True:
        kind, colour = rng.choice(KINDS), rng.choice(NAMES)
        clash = any(colour == c or alike(colour, c) for c in taken)
        if not clash and not held_out(kind, colour, taken[0]):
            return SceneObject(kind, colour)


def _pick_pair(rng: random.Random, taken: tuple[str, ...], pattern: str, style: str) -> ObjectScene:
    first, second = _pick_thing(rng, taken), _pick_thing(rng, taken)
    relation = rng.choice(("and", "left of", "above"))
    places = ("top", "bottom") if relation == "above" else ("left", "right")
    objects = (
        SceneObject(first.kind, first.colour, "", places[0]),
        SceneObject(second.kind, second.colour, "", places[1]),
    )
    other = taken[1] if len(taken) > 1 else ""
    return ObjectScene(objects, taken[0], other, pattern, relation, count=2, style=style)
