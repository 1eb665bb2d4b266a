"""Draws an arrangement: where each object is, how large it is, and objects of two colours."""

from __future__ import annotations

import random
from collections.abc import Iterator

from PIL import Image, ImageDraw

from training.arrangements import FLYING, Arrangement, Item
from training.nouns import NOUNS
from training.palette import COLOURS, RGB, jitter
from training.pen import Pen
from training.scenes import Scene, draw_scene
from training.settings import SETTINGS

Placed = tuple[Item, float, float, float]
"""An item, its middle in shares of width and height, its radius in shares of the short side."""

RADII = {"": (0.165, 0.19), "small": (0.1, 0.12), "big": (0.25, 0.28)}
"""Of two objects."""
ALONE = {"": (0.28, 0.33), "small": (0.13, 0.155), "big": (0.38, 0.42)}
GROUPS: dict[int, tuple[tuple[float, float], ...]] = {
    2: ((0.26, 0.5), (0.74, 0.5)),
    3: ((0.2, 0.5), (0.5, 0.5), (0.8, 0.5)),
    4: ((0.28, 0.28), (0.72, 0.28), (0.28, 0.72), (0.72, 0.72)),
    5: ((0.23, 0.23), (0.77, 0.23), (0.5, 0.5), (0.23, 0.77), (0.77, 0.77)),
}
GROUP_RADIUS = {2: (0.165, 0.185), 3: (0.125, 0.14), 4: (0.155, 0.17), 5: (0.13, 0.145)}
NARROW = ("triangle", "star", "cloud", "ring", "diamond")
"""Kinds with less room inside."""
GAP = 0.07
"""Between two objects beside each other."""


def draw_arrangement(
    rng: random.Random, spec: Arrangement, w: int, h: int
) -> tuple[Image.Image, list[Placed]]:
    """The picture of w x h pixels, and each object with its middle and radius in pixels, those
    behind first."""
    image = _draw_ground(rng, spec, w, h)
    shades = {name: jitter(rng, rgb) for name, rgb in COLOURS.items()}
    paper = shades[spec.background] if spec.background else image.getpixel((w // 2, h // 2))
    side, spots = min(w, h), list[Placed]()
    for item, x, y, radius in _place(rng, spec):
        spot = (x * w, y * h, radius * side)
        _draw_item(image, item, shades, spot, rng.uniform(-0.05, 0.05), _as_rgb(paper))
        spots.append((item, *spot))
    return image, spots


def _as_rgb(pixel: object) -> RGB:
    assert isinstance(pixel, tuple)
    return pixel[0], pixel[1], pixel[2]


def _draw_ground(rng: random.Random, spec: Arrangement, w: int, h: int) -> Image.Image:
    if not spec.setting:
        return Image.new("RGB", (w, h), jitter(rng, COLOURS[spec.background]))
    row = SETTINGS[spec.setting]
    return draw_scene(rng, Scene(row.sky, rng.choice(row.lights), row.land), w, h)


def _draw_item(
    image: Image.Image,
    item: Item,
    shades: dict[str, RGB],
    spot: tuple[float, float, float],
    tilt: float,
    paper: RGB,
) -> None:
    draw = NOUNS[item.kind].draw
    x, y, radius = spot
    if not item.second:
        draw(Pen(ImageDraw.Draw(image), x, y, radius, paper=paper), shades[item.colour], tilt)
        return
    # Drawn once in each colour; the mask says which of the two is seen.
    other = image.copy()
    for layer, colour in ((image, item.colour), (other, item.second)):
        draw(Pen(ImageDraw.Draw(layer), x, y, radius, paper=paper), shades[colour], tilt)
    image.paste(other, mask=_pattern_mask(image.size, item.pattern, spot))


def _pattern_mask(
    size: tuple[int, int], pattern: str, spot: tuple[float, float, float]
) -> Image.Image:
    """255 where the second colour is."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    x, y, radius = spot
    if pattern == "half":
        draw.rectangle((x, 0, size[0], size[1]), fill=255)
    elif pattern == "striped":
        step = radius * 0.42
        for i in range(-4, 5):
            left = x + (i - 0.25) * 2 * step
            draw.rectangle((left, 0, left + step, size[1]), fill=255)
    else:
        step, r = radius * 0.62, radius * 0.17
        for i in range(-3, 4):
            for j in range(-3, 4):
                px, py = x + (i + 0.5 * (j % 2)) * step, y + j * step
                draw.ellipse((px - r, py - r, px + r, py + r), fill=255)
    return mask


def _place(rng: random.Random, spec: Arrangement) -> Iterator[Placed]:
    """In the order in which they are drawn: what is behind comes first."""
    if spec.setting:
        yield from _place_in_landscape(rng, spec)
    elif spec.count > 1:
        radius = rng.uniform(*GROUP_RADIUS[spec.count])
        for x, y in GROUPS[spec.count]:
            yield spec.items[0], _near(rng, x), _near(rng, y), radius
    elif len(spec.items) == 1:
        item = spec.items[0]
        yield item, _near(rng, 0.5), _near(rng, 0.5), rng.uniform(*ALONE[item.size])
    else:
        yield from _PLACERS[spec.relation](rng, *spec.items)


def _near(rng: random.Random, place: float) -> float:
    return place + rng.uniform(-0.012, 0.012)


def _place_in_landscape(rng: random.Random, spec: Arrangement) -> Iterator[Placed]:
    pair = len(spec.items) == 2
    for i, item in enumerate(spec.items):
        radius = rng.uniform(0.15, 0.17) if pair else rng.uniform(0.19, 0.23)
        x = (0.27, 0.73)[i] if pair else rng.choice((0.32, 0.5, 0.68))
        y = rng.uniform(0.3, 0.36) if item.kind in FLYING else rng.uniform(0.66, 0.72)
        yield item, _near(rng, x), y, radius


def _in_line(rng: random.Random, first: Item, second: Item) -> tuple[Placed, Placed]:
    """Both on one axis with a gap between them, centred; the axis is x."""
    a, b = rng.uniform(*RADII[first.size]), rng.uniform(*RADII[second.size])
    start = (1 - 2 * a - 2 * b - GAP) / 2
    return (first, start + a, _near(rng, 0.5), a), (second, 1 - start - b, _near(rng, 0.5), b)


def _place_left_of(rng: random.Random, first: Item, second: Item) -> Iterator[Placed]:
    yield from _in_line(rng, first, second)


def _place_above(rng: random.Random, first: Item, second: Item) -> Iterator[Placed]:
    for item, along, across, radius in _in_line(rng, first, second):
        yield item, across, along, radius


def _place_on_top(rng: random.Random, first: Item, second: Item) -> Iterator[Placed]:
    """As above, but touching."""
    x, radius = _near(rng, 0.5), rng.uniform(0.18, 0.21)
    yield second, x, 0.5 + radius * 0.92, radius
    yield first, x, 0.5 - radius * 0.92, radius


def _place_inside(rng: random.Random, first: Item, second: Item) -> Iterator[Placed]:
    outer = rng.uniform(0.38, 0.42)
    low = {"triangle": 0.24, "heart": -0.08}.get(second.kind, 0.0) * outer
    yield second, _near(rng, 0.5), 0.5, outer
    room = (0.34, 0.4) if second.kind in NARROW else (0.42, 0.48)
    yield first, _near(rng, 0.5), 0.5 + low, outer * rng.uniform(*room)


def _place_in_front(rng: random.Random, first: Item, second: Item) -> Iterator[Placed]:
    side = rng.choice((-1, 1))
    yield second, 0.5 + side * 0.1, 0.42, rng.uniform(0.28, 0.32)
    yield first, 0.5 - side * 0.14, 0.67, rng.uniform(0.18, 0.21)


def _place_between(rng: random.Random, first: Item, second: Item) -> Iterator[Placed]:
    radius = rng.uniform(0.125, 0.14)
    for item, x in ((second, 0.2), (first, 0.5), (second, 0.8)):
        yield item, x, _near(rng, 0.5), radius


_PLACERS = {
    "left of": _place_left_of,
    "above": _place_above,
    "on top of": _place_on_top,
    "inside": _place_inside,
    "in front of": _place_in_front,
    "between": _place_between,
}
