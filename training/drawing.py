"""Draws an image from its spec and a seed: the layout, the background, the style."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.arrangements import Arrangement, Item
from training.draw_arrangement import draw_arrangement
from training.objects import draw_object
from training.palette import COLOURS, RGB, jitter
from training.pen import Pen
from training.scene_specs import PLACES, AnySpec, ObjectScene, SceneObject
from training.scenes import Scene, draw_scene, gradient

SUPERSAMPLING = 2  # drawn at twice the size, then halved: smooth edges

GROUPS: dict[int, tuple[tuple[float, float], ...]] = {  # two in a row, three in a triangle
    2: ((0.26, 0.5), (0.74, 0.5)),
    3: ((0.26, 0.29), (0.74, 0.29), (0.5, 0.72)),
}
# radius of an object as a share of the shorter side, so that no two in an image touch
RADII: dict[str, tuple[float, float]] = {
    "alone": (0.28, 0.33),
    "small": (0.13, 0.155),
    "big": (0.38, 0.42),
    "aside": (0.18, 0.205),
    "group": (0.165, 0.185),
}


@dataclass(frozen=True)
class Spot:
    """The position of an object, in pixels of the finished image; and which, of an arrangement."""

    x: float
    y: float
    radius: float
    item: Item | None = None


@dataclass(frozen=True)
class Drawing:
    image: Image.Image
    spots: tuple[Spot, ...] = ()


def render(spec: AnySpec, width: int, height: int, seed: int) -> Drawing:
    rng = random.Random(seed)
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    if isinstance(spec, Scene):
        image = draw_scene(rng, spec, *size)
        spots: tuple[Spot, ...] = ()
    elif isinstance(spec, Arrangement):
        image, found = draw_arrangement(rng, spec, *size)
        spots = tuple(
            Spot(x / SUPERSAMPLING, y / SUPERSAMPLING, radius / SUPERSAMPLING, item)
            for item, x, y, radius in found
        )
    else:
        image, spots = _draw_still(rng, spec, *size)
    return Drawing(STYLE[spec.style](rng, image, width, height), spots)


def _draw_still(
    rng: random.Random, still: ObjectScene, w: int, h: int
) -> tuple[Image.Image, tuple[Spot, ...]]:
    ground = jitter(rng, COLOURS[still.background])
    other = jitter(rng, COLOURS[still.second or still.background])
    image = _draw_background(rng, still.pattern, ground, other, w, h)
    draw = ImageDraw.Draw(image)
    side = min(w, h)
    spots = []
    shade = {obj: jitter(rng, COLOURS[obj.colour]) for obj in still.objects}
    for obj, (x, y), radius in _lay_out(rng, still):
        pen = Pen(
            draw,
            x * w,
            y * h,
            radius * side,
            paper=ground,
            width=max(4, side // 56),
            ink=shade[obj] if still.style == "line drawing" else None,
        )
        draw_object(pen, obj.kind, shade[obj], rng)
        spots.append(Spot(pen.x / SUPERSAMPLING, pen.y / SUPERSAMPLING, pen.radius / SUPERSAMPLING))
    return image, tuple(spots)


def _lay_out(
    rng: random.Random, still: ObjectScene
) -> list[tuple[SceneObject, tuple[float, float], float]]:
    """Each object with its centre (shares of width and height) and radius (share of the shorter
    side)."""
    if still.count > 1 and len(still.objects) == 1:
        radius = rng.uniform(*RADII["group"])
        return [(still.objects[0], _near(rng, spot, 0.01), radius) for spot in GROUPS[still.count]]
    laid = []
    for obj in still.objects:
        alone = len(still.objects) == 1
        key = obj.size or ("alone" if obj.place == "center" else "aside") if alone else "group"
        spot = _near(rng, PLACES[obj.place], 0.02 if alone else 0.01)
        laid.append((obj, spot, rng.uniform(*RADII[key])))
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
    """Blocks of 8 x 8 pixels, which match the VAE's blocks."""
    return image.reduce(SUPERSAMPLING * 8).resize((w, h), Image.Resampling.NEAREST)


def _as_watercolor(rng: random.Random, image: Image.Image, w: int, h: int) -> Image.Image:
    """Irregular soft edges, pale pigment, and paper that shows through in large patches."""
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
