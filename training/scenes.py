"""Draws landscapes: a sky with its light, the land below it, and sometimes one object on it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.objects import draw_object, moon_points
from training.palette import COLOURS, RGB, jitter, mix
from training.pen import Pen, turned

SKIES: dict[str, tuple[RGB, RGB]] = {  # at the top, at the horizon
    "blue": ((70, 140, 230), (190, 225, 250)),
    "night": ((10, 14, 45), (45, 55, 110)),
    "orange": ((230, 100, 50), (255, 205, 90)),
    "pink": ((200, 90, 160), (255, 190, 190)),
    "purple": ((80, 40, 130), (230, 130, 170)),
    "red": ((150, 25, 40), (250, 120, 50)),
    "gray": ((120, 126, 136), (190, 195, 200)),
}
SUNS: dict[str, RGB] = {
    "blue": (255, 235, 110),
    "orange": (255, 240, 150),
    "pink": (255, 235, 190),
    "purple": (255, 200, 140),
    "red": (255, 190, 80),
}
LIGHTS = ("", "sun", "moon", "stars", "clouds", "rain", "snow")
LANDS: dict[str, tuple[str, ...]] = {  # and the objects that may be on each
    "sea": ("", "", "boat"),
    "mountains": ("", "", "tree", "house"),
    "hills": ("", "tree", "house"),
    "field": ("tree", "house", "cat", "flower", "mushroom"),
    "desert": ("",),
    "city": ("",),
    "snow": ("", "tree", "house"),
}
ITEM_COLOURS = ("red", "yellow", "white", "orange", "pink", "blue", "purple")
WARM = ("orange", "pink", "purple", "red")


@dataclass(frozen=True)
class Scene:
    sky: str
    light: str
    land: str
    item: str = ""
    item_colour: str = ""
    style: str = ""


def pick_scene(rng: random.Random) -> Scene:
    sky = rng.choice(("blue", "blue", "night", "night", "orange", "pink", "purple", "red", "gray"))
    light = {
        "night": ("moon", "moon", "stars"),
        "blue": ("sun", "", "clouds"),
        "gray": ("", "rain", "rain", "snow"),
    }.get(sky, ("sun",))
    land = rng.choice(tuple(LANDS))
    item = rng.choice(LANDS[land])
    colour = rng.choice(ITEM_COLOURS) if item else ""
    if item == "tree" and rng.random() < 0.6:
        colour = "green"
    style = rng.choice(("watercolor", "pixel art")) if rng.random() < 0.15 else ""
    return Scene(sky, rng.choice(light), land, item, colour, style)


def gradient(w: int, h: int, top: RGB, bottom: RGB) -> Image.Image:
    t = np.linspace(0, 1, h)[:, None]
    column = np.asarray(top) * (1 - t) + np.asarray(bottom) * t  # (h, 3)
    return Image.fromarray(np.broadcast_to(column[:, None], (h, w, 3)).round().astype(np.uint8))


@dataclass
class Canvas:
    """What every part of a landscape needs to draw itself."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    rng: random.Random
    scene: Scene
    w: int
    h: int
    side: int
    horizon: int
    top: RGB
    low: RGB
    light_x: float

    def disc(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        self.draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)

    def lit(self, colour: RGB) -> RGB:
        """A colour of the land in this sky's light."""
        if self.scene.sky in WARM:
            colour = mix(colour, self.low, 0.18)
        if self.scene.sky == "night":
            colour = mix(colour, (6, 8, 20), 0.5)
        return jitter(self.rng, colour)


def draw_scene(rng: random.Random, scene: Scene, w: int, h: int) -> Image.Image:
    top, low = (jitter(rng, c, 8) for c in SKIES[scene.sky])
    horizon = int(h * rng.uniform(0.58, 0.64))
    image = Image.new("RGB", (w, h), low)
    image.paste(gradient(w, horizon, top, low), (0, 0))
    canvas = Canvas(
        image,
        ImageDraw.Draw(image),
        rng,
        scene,
        w,
        h,
        min(w, h),
        horizon,
        top,
        low,
        rng.choice((0.25, 0.5, 0.75)) * w,
    )
    _draw_light(canvas)
    LAND[scene.land](canvas)
    if scene.item:
        _draw_item(canvas)
    if scene.light in ("rain", "snow"):
        _draw_weather(canvas)
    return image


def _draw_light(c: Canvas) -> None:
    rng, side, x = c.rng, c.side, c.light_x
    if c.scene.sky == "night":
        for _ in range(26):
            r = rng.choice((0.006, 0.009)) * side
            c.disc(rng.uniform(0, c.w), rng.uniform(0, c.horizon), r, r, (255, 250, 220))
    if c.scene.light == "sun":
        sun, r = SUNS[c.scene.sky], rng.uniform(0.11, 0.14) * side
        high = c.scene.sky == "blue"
        y = c.h * rng.uniform(0.17, 0.24) if high else c.horizon - r * rng.uniform(0.2, 1.1)
        haze = mix(c.top, c.low, 0.7) if high else c.low
        c.disc(x, y, r * 1.4, r * 1.4, mix(haze, sun, 0.4))
        c.disc(x, y, r, r, sun)
    elif c.scene.light == "moon":
        r, y = rng.uniform(0.12, 0.15) * side, c.h * rng.uniform(0.2, 0.25)
        points = [(x + px * r, y + py * r) for px, py in turned(moon_points(), 0.4)]
        c.draw.polygon(points, fill=(250, 244, 210))
    elif c.scene.light == "clouds":
        for i in range(3):
            x, y = (
                (i + 0.5) / 3 * c.w + rng.uniform(-0.05, 0.05) * c.w,
                c.h * rng.uniform(0.14, 0.3),
            )
            r = rng.uniform(0.05, 0.065) * side
            for dx, dy, q in ((-1.3, 0.2, 0.8), (0, -0.2, 1.15), (1.3, 0.2, 0.8), (0, 0.35, 1.0)):
                c.disc(x + dx * r, y + dy * r, q * r * 1.2, q * r * 0.85, (252, 252, 254))


def _draw_sea(c: Canvas) -> None:
    far = mix(mix(c.top, (20, 70, 150), 0.45), c.low, 0.25)
    near = mix(c.top, (10, 40, 100), 0.6)
    c.image.paste(gradient(c.w, c.h - c.horizon, far, near), (0, c.horizon))
    bright = SUNS.get(c.scene.sky, (240, 235, 200))
    glitter = c.scene.light in ("sun", "moon")
    for i in range(6):
        y = c.horizon + (c.h - c.horizon) * (i + 0.4) / 6
        x = c.light_x if glitter else c.rng.uniform(0.1, 0.9) * c.w
        half = (0.06 + 0.018 * i) * c.side
        colour = mix(
            mix(far, near, i / 6), bright if glitter else (255, 255, 255), 0.75 if glitter else 0.25
        )
        c.draw.rectangle((x - half, y, x + half, y + 0.016 * c.side), fill=colour)


def _draw_mountains(c: Canvas) -> None:
    rock = c.lit((104, 112, 140))
    base = c.horizon + 0.1 * c.h
    snow = mix((248, 250, 252), rock, 0.45 if c.scene.sky == "night" else 0.05)
    for far, share, colour in ((True, 0.42, mix(rock, c.low, 0.3)), (False, 0.27, rock)):
        for i in range(3):
            x = (i + (0.5 if far else 0.2)) / 3 * c.w + c.rng.uniform(-0.05, 0.05) * c.w
            high = share * c.h * c.rng.uniform(0.8, 1.1)
            c.draw.polygon([(x - high, base), (x, base - high), (x + high, base)], fill=colour)
            if far:
                cap = 0.27 * high
                c.draw.polygon(
                    [(x - cap, base - high + cap), (x, base - high), (x + cap, base - high + cap)],
                    fill=snow,
                )
    c.draw.rectangle((0, c.horizon + 0.09 * c.h, c.w, c.h), fill=c.lit((70, 140, 80)))


def _draw_round_land(c: Canvas) -> None:
    """Hills and dunes: three large discs."""
    colour = c.lit({"hills": (76, 166, 82), "desert": (232, 190, 112)}[c.scene.land])
    shade = mix(colour, (0, 0, 0), 0.14)
    slip = c.rng.uniform(-0.06, 0.06) * c.w
    c.disc(c.w * 0.2 + slip, c.h * 1.02, c.w * 0.6, c.h - c.horizon + 0.06 * c.h, shade)
    c.disc(c.w * 0.85 + slip, c.h * 1.08, c.w * 0.62, c.h - c.horizon + 0.1 * c.h, colour)
    c.draw.rectangle((0, c.h * 0.86, c.w, c.h), fill=colour)
    c.disc(c.w * 0.4, c.h * 1.15, c.w * 0.8, c.h * 0.36, colour)


def _draw_flat_land(c: Canvas) -> None:
    colour = c.lit({"field": (96, 184, 80), "snow": (240, 244, 250)}[c.scene.land])
    c.draw.rectangle((0, c.horizon, c.w, c.h), fill=mix(colour, (0, 0, 0), 0.14))
    c.draw.rectangle((0, c.horizon + 0.06 * c.h, c.w, c.h), fill=colour)


def _draw_city(c: Canvas) -> None:
    night = c.scene.sky == "night"
    wall: RGB = (24, 26, 48) if night else mix(c.lit((70, 74, 96)), (20, 20, 40), 0.2)
    window: RGB = (255, 220, 110) if night or c.scene.sky in WARM else (180, 205, 235)
    x, pane = -c.rng.uniform(0, 0.05) * c.w, 0.04 * c.side
    while x < c.w:
        wide, high = c.rng.uniform(0.13, 0.19) * c.w, c.rng.uniform(0.2, 0.52) * c.h
        roof = c.h * 0.9 - high
        c.draw.rectangle((x, roof, x + wide, c.h), fill=jitter(c.rng, wall, 8))
        y = roof + pane
        while y < c.h * 0.84:
            at = x + pane * 0.7
            while at + pane < x + wide:
                if c.rng.random() < 0.6:
                    c.draw.rectangle((at, y, at + pane * 0.8, y + pane), fill=window)
                at += pane * 1.7
            y += pane * 2
        x += wide
    c.draw.rectangle((0, c.h * 0.9, c.w, c.h), fill=mix(wall, (0, 0, 0), 0.4))


LAND: dict[str, Callable[[Canvas], None]] = {
    "sea": _draw_sea,
    "mountains": _draw_mountains,
    "hills": _draw_round_land,
    "desert": _draw_round_land,
    "field": _draw_flat_land,
    "snow": _draw_flat_land,
    "city": _draw_city,
}


def _draw_item(c: Canvas) -> None:
    radius = c.rng.uniform(0.19, 0.22) * c.side
    x = c.rng.choice((0.3, 0.5, 0.7)) * c.w
    y = c.horizon + (0.06 if c.scene.item == "boat" else 0.1) * c.h
    pen = Pen(c.draw, x, y, radius)
    draw_object(pen, c.scene.item, jitter(c.rng, COLOURS[c.scene.item_colour]), c.rng)


def _draw_weather(c: Canvas) -> None:
    for _ in range(48):
        x, y = c.rng.uniform(0, c.w), c.rng.uniform(0, c.h)
        if c.scene.light == "rain":
            c.draw.line(
                (x, y, x - 0.025 * c.side, y + 0.075 * c.side),
                fill=(215, 228, 245),
                width=max(2, int(0.009 * c.side)),
            )
        else:
            c.disc(x, y, 0.012 * c.side, 0.012 * c.side, (252, 252, 255))
