"""The pictures the model learns from: what is in one (a spec), and the drawing of it.

`Still` is one to three objects on a background, `Scene` a landscape. A spec says what a caption
may say; the rest (exact place, shade, tilt) is the drawing's own, from its seed. Everything
follows from the seed: the same seed is the same picture, on every machine with the same Pillow.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dream.tiny.objects import KINDS, Pen, draw_object
from dream.tiny.palette import COLOURS, NAMES, RGB, alike, jitter
from dream.tiny.scenes import Scene, draw_scene, gradient, pick_scene

SUPERSAMPLING = 2  # drawn twice as large, then halved: smooth edges

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
GROUPS: dict[int, tuple[tuple[float, float], ...]] = {  # two in a row, three in a triangle
    2: ((0.26, 0.5), (0.74, 0.5)),
    3: ((0.26, 0.29), (0.74, 0.29), (0.5, 0.72)),
}
SIZES = ("", "small", "big")
PATTERNS = ("plain", "gradient", "striped", "checkered", "dotted")
STYLES = ("", "watercolor", "pixel art", "line drawing")
RELATIONS = ("", "and", "left of", "above")

# radius of an object as a share of the shorter side, so that no two of a picture touch
RADII: dict[str, tuple[float, float]] = {
    "alone": (0.28, 0.33),
    "small": (0.13, 0.155),
    "big": (0.38, 0.42),
    "aside": (0.18, 0.205),
    "group": (0.165, 0.185),
}


@dataclass(frozen=True)
class Thing:
    kind: str
    colour: str
    size: str = ""
    place: str = "center"


@dataclass(frozen=True)
class Still:
    """`relation` is between two different things; `count` > 1 repeats the one thing in a row."""

    things: tuple[Thing, ...]
    background: str
    second: str = ""  # the other colour of a pattern
    pattern: str = "plain"
    relation: str = ""
    count: int = 1
    style: str = ""


Spec = Still | Scene


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of picture; what is left over is one object."""

    scene: float
    pair: float
    several: float
    empty: float
    pattern: float
    style: float


PLAIN = Mix(scene=0.10, pair=0.10, several=0.08, empty=0.02, pattern=0.10, style=0.05)
FULL = Mix(scene=0.18, pair=0.15, several=0.10, empty=0.02, pattern=0.18, style=0.14)


def held_out(kind: str, colour: str, background: str) -> bool:
    """A tenth of the combinations is never trained on: it is what `measure` asks for."""
    number = KINDS.index(kind) * 7 + NAMES.index(colour) * 5 + NAMES.index(background) * 3
    return number % 10 == 0


def pick(rng: random.Random, mix: Mix) -> Spec:
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
        return Still((), background, second, pattern, count=0, style="")
    if lot < mix.empty + mix.pair:
        return _pick_pair(rng, taken, pattern, style)
    thing = _pick_thing(rng, taken)
    if lot < mix.empty + mix.pair + mix.several:
        count = rng.choice((2, 3))
        return Still((thing,), background, second, pattern, count=count, style=style)
    size = rng.choice(("", "", "", "", "small", "big"))
    place = rng.choice((*("center",) * 9, *PLACES))
    if size == "big":
        place = "center"
    thing = Thing(thing.kind, thing.colour, size, place)
    return Still((thing,), background, second, pattern, style=style)


def _pick_thing(rng: random.Random, taken: tuple[str, ...]) -> Thing:
    while True:
        kind, colour = rng.choice(KINDS), rng.choice(NAMES)
        clash = any(colour == c or alike(colour, c) for c in taken)
        if not clash and not held_out(kind, colour, taken[0]):
            return Thing(kind, colour)


def _pick_pair(rng: random.Random, taken: tuple[str, ...], pattern: str, style: str) -> Still:
    first, second = _pick_thing(rng, taken), _pick_thing(rng, taken)
    relation = rng.choice(("and", "left of", "above"))
    places = ("top", "bottom") if relation == "above" else ("left", "right")
    things = (
        Thing(first.kind, first.colour, "", places[0]),
        Thing(second.kind, second.colour, "", places[1]),
    )
    other = taken[1] if len(taken) > 1 else ""
    return Still(things, taken[0], other, pattern, relation, count=2, style=style)


@dataclass(frozen=True)
class Spot:
    """Where one object ended up, in pixels of the finished picture."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Drawing:
    image: Image.Image
    spots: tuple[Spot, ...] = field(default=())


def render(spec: Spec, width: int, height: int, seed: int) -> Drawing:
    rng = random.Random(seed)
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    if isinstance(spec, Scene):
        image, spots = draw_scene(rng, spec, *size), ()
    else:
        image, spots = _draw_still(rng, spec, *size)
    return Drawing(STYLE[spec.style](rng, image, width, height), tuple(spots))


def _draw_still(
    rng: random.Random, still: Still, w: int, h: int
) -> tuple[Image.Image, tuple[Spot, ...]]:
    ground = jitter(rng, COLOURS[still.background])
    other = jitter(rng, COLOURS[still.second or still.background])
    image = _draw_background(rng, still.pattern, ground, other, w, h)
    draw = ImageDraw.Draw(image)
    side = min(w, h)
    spots = []
    shade = {thing: jitter(rng, COLOURS[thing.colour]) for thing in still.things}
    for thing, (x, y), radius in _lay_out(rng, still):
        pen = Pen(
            draw,
            x * w,
            y * h,
            radius * side,
            paper=ground,
            width=max(4, side // 56),
            ink=shade[thing] if still.style == "line drawing" else None,
        )
        draw_object(pen, thing.kind, shade[thing], rng)
        spots.append(Spot(pen.x / SUPERSAMPLING, pen.y / SUPERSAMPLING, pen.radius / SUPERSAMPLING))
    return image, tuple(spots)


def _lay_out(rng: random.Random, still: Still) -> list[tuple[Thing, tuple[float, float], float]]:
    """Each object with its middle (shares of width and height) and radius (of the short side)."""
    if still.count > 1 and len(still.things) == 1:
        radius = rng.uniform(*RADII["group"])
        return [(still.things[0], _near(rng, spot, 0.01), radius) for spot in GROUPS[still.count]]
    laid = []
    for thing in still.things:
        alone = len(still.things) == 1
        key = thing.size or ("alone" if thing.place == "center" else "aside") if alone else "group"
        spot = _near(rng, PLACES[thing.place], 0.02 if alone else 0.01)
        laid.append((thing, spot, rng.uniform(*RADII[key])))
    return laid


def _near(rng: random.Random, place: tuple[float, float], by: float) -> tuple[float, float]:
    return place[0] + rng.uniform(-by, by), place[1] + rng.uniform(-by, by)


def _draw_background(
    rng: random.Random, pattern: str, ground: RGB, other: RGB, w: int, h: int
) -> Image.Image:
    if pattern == "gradient":
        return gradient(w, h, ground, other)
    image = Image.new("RGB", (w, h), ground)
    draw = ImageDraw.Draw(image)
    step = min(w, h) / (6 if pattern == "dotted" else 8)
    columns, rows = int(w / step) + 2, int(h / step) + 2
    if pattern == "striped":
        for i in range(0, columns, 2):
            draw.rectangle((i * step, 0, (i + 1) * step - 1, h), fill=other)
    elif pattern == "checkered":
        for i in range(columns):
            for j in range(i % 2, rows, 2):
                draw.rectangle(
                    (i * step, j * step, (i + 1) * step - 1, (j + 1) * step - 1), fill=other
                )
    elif pattern == "dotted":
        for i in range(columns):
            for j in range(rows):
                x, y, r = (i + 0.5) * step, (j + 0.5) * step, step * 0.26
                draw.ellipse((x - r, y - r, x + r, y + r), fill=other)
    return image


def _as_drawn(rng: random.Random, image: Image.Image, w: int, h: int) -> Image.Image:
    return image.reduce(SUPERSAMPLING)


def _as_pixel_art(rng: random.Random, image: Image.Image, w: int, h: int) -> Image.Image:
    """Blocks of 8 x 8 pixels, which are the VAE's own blocks."""
    return image.reduce(SUPERSAMPLING * 8).resize((w, h), Image.Resampling.NEAREST)


def _as_watercolor(rng: random.Random, image: Image.Image, w: int, h: int) -> Image.Image:
    """Wobbling soft edges, pale pigment, paper showing through in broad patches."""
    image = image.reduce(SUPERSAMPLING)
    cells = 6
    xs = [round(i * w / cells) for i in range(cells + 1)]
    ys = [round(i * h / cells) for i in range(cells + 1)]
    wobble = min(w, h) / 48

    def corner(i: int, j: int) -> tuple[float, float]:
        inside = 0 < i < cells and 0 < j < cells
        amount = wobble if inside else 0.0
        return xs[i] + rng.uniform(-amount, amount), ys[j] + rng.uniform(-amount, amount)

    grid = [[corner(i, j) for i in range(cells + 1)] for j in range(cells + 1)]
    mesh = [
        (
            (xs[i], ys[j], xs[i + 1], ys[j + 1]),
            (*grid[j][i], *grid[j + 1][i], *grid[j + 1][i + 1], *grid[j][i + 1]),
        )
        for i in range(cells)
        for j in range(cells)
    ]
    image = image.transform((w, h), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(1.6))
    noise = np.random.RandomState(rng.getrandbits(31)).uniform(-15, 15, (h // 16, w // 16))
    patches = Image.fromarray(noise.astype(np.float32)).resize((w, h), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.float32) * 0.82 + 255 * 0.18 + np.asarray(patches)[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


STYLE: dict[str, Callable[[random.Random, Image.Image, int, int], Image.Image]] = {
    "": _as_drawn,
    "line drawing": _as_drawn,
    "pixel art": _as_pixel_art,
    "watercolor": _as_watercolor,
}
