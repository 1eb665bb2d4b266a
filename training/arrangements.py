"""Pictures of one to five objects in relation to each other, on a background or in a place.

They have what `scene_specs` lacks: pairs of two sizes, inside, in front of and between, objects of
two colours, four and five of a kind, and any object in a landscape. A spec follows from its seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.held_out import held_out
from training.nouns import NEW_NOUNS, NOUNS
from training.palette import NAMES, alike
from training.settings import SETTINGS

KINDS = tuple(NOUNS)
NEWER_KINDS = tuple(noun.kind for noun in NEW_NOUNS)
OUTER = ("circle", "square", "heart", "diamond", "ring", "star", "triangle", "cloud")
"""Kinds that another object can lie inside."""
FLYING = ("bird", "butterfly", "plane", "rocket", "balloon", "cloud", "sun", "moon", "star")
SWIMMING = ("boat", "duck", "fish", "turtle")
RELATIONS = ("above", "left of", "inside", "in front of", "between", "on top of")
TWO_COLOURED = ("striped", "spotted", "half")
STYLES = ("watercolor", "pixel art")


@dataclass(frozen=True)
class Item:
    """One object. `second` is its other colour, if `pattern` is one of TWO_COLOURED."""

    kind: str
    colour: str
    size: str = ""
    second: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class Arrangement:
    """`relation` is that of the first item to the second: the first is above it, inside it, in
    front of it …; “between” means that the second is on both sides. `count` > 1 repeats the only
    item. `setting` is a key of `settings.SETTINGS`, or empty: then `background` is a colour."""

    items: tuple[Item, ...]
    background: str = ""
    setting: str = ""
    relation: str = ""
    count: int = 1
    style: str = ""
    unknown: bool = False
    """Whether a caption calls the first item by a noun that no picture belongs to, so that such a
    noun is an object of no particular shape, and the rest of the sentence still counts."""


def sample_arrangement(rng: random.Random) -> Arrangement:
    """Draw one by lot."""
    lot = rng.random()
    style = rng.choice(STYLES) if rng.random() < 0.06 else ""
    if lot < 0.24:
        return _sample_setting(rng, style)
    background = rng.choice(NAMES)
    if lot < 0.62:
        return _sample_pair(rng, background, style)
    if lot < 0.74:
        item = _sample_item(rng, (background,))
        return Arrangement((item,), background, count=rng.randint(2, 5), style=style)
    if lot < 0.82:
        item = _add_second_colour(rng, _sample_item(rng, (background,)), background)
        return Arrangement((item,), background, style=style)
    item = _sample_item(rng, (background,), sizes=True)
    return Arrangement((item,), background, style=style, unknown=lot > 0.93)


def sample_newer_object(rng: random.Random) -> Arrangement:
    """Draw a newer object alone on a background; now and then its noun is an unknown one."""
    background = rng.choice(NAMES)
    item = _sample_item(rng, (background,), NEWER_KINDS, sizes=rng.random() < 0.5)
    style = rng.choice(STYLES) if rng.random() < 0.04 else ""
    return Arrangement((item,), background, style=style, unknown=rng.random() < 0.08)


def sample_overlap(rng: random.Random) -> Arrangement:
    """Draw an object inside another, or in front of it."""
    relation = rng.choice(("inside", "inside", "in front of"))
    return _sample_pair(rng, rng.choice(NAMES), "", relation)


def sample_in_landscape(rng: random.Random) -> Arrangement:
    """Draw one or two objects in a landscape, now and then in a colour of the landscape's own: a
    green tree on the grass, a black cat at night."""
    return _sample_setting(rng, "", flying=0.3, own_colour=0.3)


def sample_two_coloured(rng: random.Random) -> Arrangement:
    """Draw an object of two colours alone on a background."""
    background = rng.choice(NAMES)
    item = _sample_item(rng, (background,), sizes=rng.random() < 0.3)
    return Arrangement((_add_second_colour(rng, item, background),), background)


def sample_group(rng: random.Random) -> Arrangement:
    """Draw two to five of a kind, mostly four or five."""
    background = rng.choice(NAMES)
    item = _sample_item(rng, (background,))
    return Arrangement((item,), background, count=rng.choice((2, 3, 4, 4, 5, 5)))


def _sample_item(
    rng: random.Random,
    others: tuple[str, ...],
    kinds: tuple[str, ...] = KINDS,
    sizes: bool = False,
    any_colour: bool = False,
) -> Item:
    """An item whose colour can be told from those of `others`, first the background, or the
    colours of the ground and the sky; or which has `any_colour`. None of the combinations that are
    held out."""
    kind = rng.choice(kinds)
    usual = [c for c in NOUNS[kind].usual if any_colour or _differs(c, others)]
    while True:
        colour = rng.choice(usual) if usual and rng.random() < 0.3 else rng.choice(NAMES)
        fits = any_colour or _differs(colour, others)
        if fits and not held_out(kind, colour, others[0]):
            size = rng.choice(("", "", "small", "big")) if sizes else ""
            return Item(kind, colour, size)


def _differs(colour: str, others: tuple[str, ...]) -> bool:
    return not any(colour == other or alike(colour, other) for other in others)


def _add_second_colour(rng: random.Random, item: Item, background: str) -> Item:
    second = _sample_item(rng, (background, item.colour)).colour
    return Item(item.kind, item.colour, item.size, second, rng.choice(TWO_COLOURED))


def _sample_pair(
    rng: random.Random, background: str, style: str, relation: str = ""
) -> Arrangement:
    relation = relation or rng.choice((*RELATIONS, "above", "left of", "left of", "inside"))
    kinds = OUTER if relation == "inside" else KINDS
    second = _sample_item(rng, (background,), kinds)
    first = _sample_item(rng, (background, second.colour))
    if relation in ("above", "left of") and rng.random() < 0.6:
        sizes = rng.choice((("small", "big"), ("big", "small"), ("", "big"), ("small", "")))
        first = Item(first.kind, first.colour, sizes[0])
        second = Item(second.kind, second.colour, sizes[1])
    elif rng.random() < 0.15:
        first = _add_second_colour(rng, first, background)
    return Arrangement((first, second), background, relation=relation, style=style)


def _sample_setting(
    rng: random.Random, style: str, flying: float = 0.15, own_colour: float = 0.0
) -> Arrangement:
    setting = rng.choice(tuple(SETTINGS))
    row = SETTINGS[setting]
    kinds = tuple(kind for kind in KINDS if kind not in FLYING)
    if row.land == "mountains":
        kinds = tuple(kind for kind in kinds if kind != "mountain")
    if row.land == "sea":
        kinds = SWIMMING
    elif rng.random() < flying:
        kinds = FLYING
    item = _sample_item(rng, row.colours, kinds, any_colour=rng.random() < own_colour)
    if rng.random() < 0.12 and row.land != "sea":
        second = _sample_item(rng, (*row.colours, item.colour), kinds)
        return Arrangement((item, second), setting=setting, relation="left of", style=style)
    return Arrangement((item,), setting=setting, style=style, unknown=rng.random() < 0.05)
