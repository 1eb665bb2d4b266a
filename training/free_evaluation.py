"""Judges images of free wordings, relations and new objects, by what the object reader finds.

`training.evaluate` prints the rows. A judge is worth what it says of true drawings, which it must
pass, and of noise, which it must not: `drawing_of` draws what a prompt asks for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from training import object_reader
from training.arrangements import FLYING, KINDS, OUTER, SWIMMING, Arrangement, Item
from training.drawing import render
from training.free_wording import UNKNOWN, FreePrompt, Thing, read_prompts
from training.image_analysis import analyze, lab
from training.metrics import Metric
from training.nouns import NEW_NOUNS
from training.object_reader import Found, ObjectReader, find_objects, read_setting
from training.palette import NAMES, alike
from training.settings import SETTINGS

PROMPTS = read_prompts(frozenset(NAMES))
FLAT_STEP = 3.0  # Lab distance between neighbours below which a surface is flat
LEAST_FLAT = 0.85  # share of flat pixels; the roughest drawings, watercolors, have 0.88 of them
LARGER = 1.25  # least ratio of the radii of a big and a small object


@dataclass(frozen=True)
class Seen:
    """What is found in one image."""

    objects: tuple[Found, ...]
    background: str
    setting: str
    flat: float


def look(reader: ObjectReader, image: Image.Image) -> Seen:
    return Seen(
        tuple(find_objects(reader, image)),
        analyze(image).background,
        read_setting(reader, image),
        share_of_flat(image),
    )


def share_of_flat(image: Image.Image) -> float:
    """The share of pixels that are nearly like the ones to the right and below. Drawings consist
    of surfaces, noise does not."""
    colours = lab(np.asarray(image.convert("RGB")))
    right = np.abs(colours[:-1, 1:] - colours[:-1, :-1]).max(-1)
    below = np.abs(colours[1:, :-1] - colours[:-1, :-1]).max(-1)
    return float((np.maximum(right, below) < FLAT_STEP).mean())


def is_noise(seen: Seen) -> bool:
    return seen.flat < LEAST_FLAT


# ---------------------------------------------------------------- when is an image right?


def prompt_right(prompt: FreePrompt, seen: Seen) -> bool:
    """The main object with its colours, as often as it is named; the other objects' colours; the
    background. With a noun that the model does not know, any object will do, but noise will not."""
    if not ground_right(prompt.ground, seen) or is_noise(seen):
        return False
    main, *others = prompt.things
    fitting = [each for each in seen.objects if fits(main, each)]
    right = len(fitting) == main.count if main.count > 1 else bool(fitting)
    return right and all(
        any(fits(replace(other, kind=UNKNOWN), each) for each in seen.objects) for other in others
    )


def ground_right(ground: str, seen: Seen) -> bool:
    if ground in SETTINGS:
        return seen.setting == ground
    return ground in ("", seen.background)


def fits(thing: Thing, found: Found) -> bool:
    """Whether this is such a thing in these colours."""
    if thing.kind not in (UNKNOWN, found.kind):
        return False
    if len(thing.colours) == 2:
        return set(thing.colours) == set(found.colours)
    return not thing.colours or thing.colours[0] == found.colours[0]


def relation_right(spec: Arrangement, seen: Seen) -> bool:
    """Two objects of the named colours, of any kind, in this relation and in these sizes, on this
    background."""
    first, second = (
        [o for o in seen.objects if o.colours[0] == item.colour] for item in spec.items
    )
    if seen.background != spec.background or is_noise(seen):
        return False
    if spec.relation == "between":
        return any(any(b.x < a.x for b in second) and any(b.x > a.x for b in second) for a in first)
    related = _RELATED[spec.relation]
    return any(
        related(a, b) and _sizes_right(spec.items, a, b) for a in first for b in second if a != b
    )


def _apart(a: Found, b: Found) -> float:
    return 0.6 * (a.radius + b.radius)


def _off(a: Found, b: Found) -> float:
    return max(abs(a.x - b.x), abs(a.y - b.y))


_RELATED: dict[str, Callable[[Found, Found], bool]] = {
    "above": lambda a, b: b.y - a.y > _apart(a, b),
    "on top of": lambda a, b: b.y - a.y > _apart(a, b),
    "left of": lambda a, b: b.x - a.x > _apart(a, b),
    "inside": lambda a, b: _off(a, b) < 0.5 * b.radius and a.radius < 0.7 * b.radius,
    "in front of": lambda a, b: a.y > b.y and _off(a, b) < a.radius + b.radius,
}


def _sizes_right(items: Sequence[Item], a: Found, b: Found) -> bool:
    sizes = items[0].size, items[1].size
    if sizes in (("small", "big"), ("", "big"), ("small", "")):
        return b.radius > LARGER * a.radius
    if sizes == ("big", "small"):
        return a.radius > LARGER * b.radius
    return True


def kind_right(spec: Arrangement, seen: Seen) -> bool:
    return bool(seen.objects) and seen.objects[0].kind == spec.items[0].kind


# ---------------------------------------------------------------- what is asked


def draw_relations(count: int = 66, seed: int = 2027) -> tuple[Arrangement, ...]:
    """Pairs in every relation in turn, in plain colours; every second one has two sizes, where the
    relation leaves them open."""
    rng = random.Random(seed)
    return tuple(_draw_relation(rng, i) for i in range(count))


def _draw_relation(rng: random.Random, number: int) -> Arrangement:
    relation = ("above", "left of", "inside", "in front of", "between", "on top of")[number % 6]
    background, one, two = _draw_colours(rng, 3)
    sizes = ("", "")
    if relation in ("above", "left of") and number // 6 % 2:
        sizes = rng.choice((("small", "big"), ("big", "small")))
    kinds = rng.choice(KINDS), rng.choice(OUTER if relation == "inside" else KINDS)
    items = Item(kinds[0], one, sizes[0]), Item(kinds[1], two, sizes[1])
    return Arrangement(items, background, relation=relation)


def _draw_colours(rng: random.Random, count: int) -> list[str]:
    """Colours that can all be told from each other."""
    while True:
        drawn = rng.sample(NAMES, count)
        if not any(alike(a, b) for a in drawn for b in drawn if a != b):
            return drawn


def draw_new_objects(seed: int = 2028) -> tuple[Arrangement, ...]:
    """Each of the newer objects twice, alone."""
    rng = random.Random(seed)
    drawn = []
    for noun in NEW_NOUNS * 2:
        background, colour = _draw_colours(rng, 2)
        drawn.append(Arrangement((Item(noun.kind, colour),), background))
    return tuple(drawn)


def drawing_of(prompt: FreePrompt, seed: int, side: int = 256) -> Image.Image:
    """A true drawing of what must be seen; of a noun without a drawing, any object."""
    rng = random.Random(seed)
    setting = prompt.ground if prompt.ground in SETTINGS else ""
    taken = list(SETTINGS[setting].colours) if setting else []
    taken += [colour for thing in prompt.things for colour in thing.colours]
    background = "" if setting else prompt.ground or _other_colour(rng, taken)
    taken.append(background)
    items = []
    for thing in prompt.things:
        colours = thing.colours or (_other_colour(rng, taken),)
        taken += colours
        kinds = SWIMMING if setting == "sea" else [k for k in KINDS if k not in FLYING]
        kind = rng.choice(kinds) if thing.kind == UNKNOWN else thing.kind
        pattern = rng.choice(("striped", "half")) if len(colours) > 1 else ""
        items.append(Item(kind, colours[0], "", "".join(colours[1:]), pattern))
    count = prompt.things[0].count
    relation = _relation_in(prompt) if len(items) > 1 else ""
    spec = Arrangement(tuple(items), background, setting, relation, count)
    return render(spec, side, side, seed).image


def _other_colour(rng: random.Random, taken: Sequence[str]) -> str:
    free = [c for c in NAMES if not any(c == t or (t and alike(c, t)) for t in taken)]
    return rng.choice(free)


def _relation_in(prompt: FreePrompt) -> str:
    if prompt.things[1].count == 2:
        return "between"
    inside = "inside" in prompt.text or "里面" in prompt.text
    return "inside" if inside and prompt.things[1].kind in OUTER else "left of"


# ---------------------------------------------------------------- the rows of the table


def rows(
    free: Sequence[Image.Image], related: Sequence[Image.Image], new: Sequence[Image.Image]
) -> list[Metric]:
    """The images of PROMPTS, of `draw_relations` and of `draw_new_objects`, judged."""
    reader = object_reader.load()
    seen = [look(reader, image) for image in free]
    right = {p: prompt_right(p, s) for p, s in zip(PROMPTS, seen, strict=True)}
    known = [p for p in PROMPTS if not _is_unknown(p)]
    unknown = [p for p in PROMPTS if _is_unknown(p)]
    noise = [s for p, s in zip(PROMPTS, seen, strict=True) if _is_unknown(p) and is_noise(s)]
    return [
        _row("free wording: main object and colours right", "75 %", [right[p] for p in known]),
        _row(
            "unknown noun: background and named colours right, no noise",
            "85 %",
            [right[p] for p in unknown],
        ),
        _row("… of them noise", "0 %", [True] * len(noise) + [False] * (len(unknown) - len(noise))),
        _row(
            "relations and sizes of two objects right",
            "85 %",
            [
                relation_right(spec, look(reader, image))
                for spec, image in zip(draw_relations(), related, strict=True)
            ],
        ),
        _row(
            "the 33 newer objects: shape right",
            "",
            [
                kind_right(spec, look(reader, image))
                for spec, image in zip(draw_new_objects(), new, strict=True)
            ],
        ),
    ]


def rows_of_drawings() -> list[Metric]:
    """The same of true drawings: the highest possible figures."""
    return rows(
        [drawing_of(prompt, i) for i, prompt in enumerate(PROMPTS)],
        [render(spec, 256, 256, i).image for i, spec in enumerate(draw_relations())],
        [render(spec, 256, 256, i).image for i, spec in enumerate(draw_new_objects())],
    )


def _row(what: str, needed: str, right: Sequence[bool]) -> Metric:
    return Metric(what, needed, "", sum(right) / len(right), len(right))


def _is_unknown(prompt: FreePrompt) -> bool:
    return any(thing.kind == UNKNOWN for thing in prompt.things)
