"""Draws eighteen objects with few and bold strokes, so that a small network can learn them.

Every object is drawn in its own unit circle, which a `Pen` maps to the image.
"""

import math
import random
from collections.abc import Callable

from training.palette import COLOURS, RGB, distance, is_dark, mix
from training.pen import Pen, Point, arc, turned

DARK: RGB = (40, 32, 36)
LIGHT: RGB = (250, 250, 248)
WOOD: RGB = (110, 72, 42)
LEAF: RGB = (50, 140, 60)


def star_points(points: int = 5, outer: float = 1.1, inner: float = 0.46) -> list[Point]:
    radii = [outer if i % 2 == 0 else inner for i in range(2 * points)]
    angles = [-math.pi / 2 + i * math.pi / points for i in range(2 * points)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def moon_points() -> list[Point]:
    """A crescent open to the right: a wide outer arc, a narrower inner one."""
    outer = arc(0, 0, 1, 1, math.pi * 0.28, math.pi * 1.72)
    tip, centre = outer[0], 0.48
    radius = math.hypot(tip[0] - centre, tip[1])
    angle = math.atan2(tip[1], tip[0] - centre)
    inner = arc(centre, 0, radius, radius, -angle, angle - 2 * math.pi)
    return [(x + 0.15, y) for x, y in outer + inner]


def heart_points() -> list[Point]:
    points = []
    for i in range(60):
        t = 2 * math.pi * i / 60
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((0.064 * x, -0.064 * y - 0.1))
    return points


SQUARE = [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]
TRIANGLE = [(0.0, -1.05), (1.05, 0.8), (-1.05, 0.8)]
DIAMOND = [(0.0, -1.12), (0.72, 0.0), (0.0, 1.12), (-0.72, 0.0)]
CROSS = [
    (-0.32, -1.0),
    (0.32, -1.0),
    (0.32, -0.32),
    (1.0, -0.32),
    (1.0, 0.32),
    (0.32, 0.32),
    (0.32, 1.0),
    (-0.32, 1.0),
    (-0.32, 0.32),
    (-1.0, 0.32),
    (-1.0, -0.32),
    (-0.32, -0.32),
]


def circle(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.oval(0, 0, 1, 1, colour)


def square(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(turned(SQUARE, tilt), colour)


def triangle(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(turned(TRIANGLE, tilt), colour)


def star(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(turned(star_points(), tilt), colour)


def heart(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(heart_points(), colour)


def ring(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.band(0.5, colour)


def moon(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(moon_points(), colour)


def diamond(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(DIAMOND, colour)


def cross(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(CROSS, colour)


def cat(pen: Pen, colour: RGB, tilt: float) -> None:
    """A head: two ears, two round eyes, a nose."""
    for side in (-1, 1):
        pen.fill([(side * 0.9, -0.1), (side * 0.85, -1.08), (side * 0.12, -0.6)], colour)
    pen.oval(0, 0.12, 0.98, 0.82, colour)
    for side in (-1, 1):
        pen.oval(side * 0.4, 0.0, 0.22, 0.24, LIGHT)
        pen.oval(side * 0.4, 0.02, 0.11, 0.17, DARK)
    pink = COLOURS["pink"]
    nose = pink if distance(colour, pink) > 90 else DARK
    pen.fill([(-0.17, 0.34), (0.17, 0.34), (0.0, 0.56)], nose)


def fish(pen: Pen, colour: RGB, tilt: float) -> None:
    """It swims to the left."""
    pen.fill([(0.45, 0.0), (1.2, -0.62), (1.2, 0.62)], deeper(colour))
    pen.oval(-0.15, 0, 0.95, 0.64, colour)
    pen.oval(-0.62, -0.15, 0.19, 0.19, LIGHT)
    pen.oval(-0.65, -0.15, 0.09, 0.09, DARK)


def house(pen: Pen, colour: RGB, tilt: float) -> None:
    roof: RGB = (150, 60, 50) if distance(colour, COLOURS["red"]) > 120 else (90, 70, 60)
    door: RGB = (90, 60, 40) if distance(colour, COLOURS["brown"]) > 90 else (60, 40, 30)
    pen.fill([(-0.82, -0.28), (0.82, -0.28), (0.82, 0.95), (-0.82, 0.95)], colour)
    pen.fill([(-1.06, -0.26), (0.0, -1.06), (1.06, -0.26)], roof)
    pen.fill([(-0.2, 0.36), (0.2, 0.36), (0.2, 0.95), (-0.2, 0.95)], door)
    for side in (-1, 1):
        x = side * 0.52
        pen.fill(
            [(x - 0.15, 0.06), (x + 0.15, 0.06), (x + 0.15, 0.38), (x - 0.15, 0.38)],
            (255, 240, 150) if distance(colour, COLOURS["yellow"]) > 150 else (90, 110, 150),
        )


def tree(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(
        [(-0.17, 0.2), (0.17, 0.2), (0.22, 1.1), (-0.22, 1.1)],
        WOOD if distance(colour, WOOD) > 60 else (70, 44, 26),
    )
    for x, y, rx, ry in ((-0.42, -0.1, 0.54, 0.5), (0.42, -0.1, 0.54, 0.5), (0, -0.5, 0.64, 0.58)):
        pen.oval(x, y, rx, ry, colour)


def mushroom(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.fill(
        [(-0.28, 0), (0.28, 0), (0.38, 0.95), (-0.38, 0.95)],
        (244, 232, 210) if sum(colour) < 660 else (196, 176, 150),
    )
    pen.fill(arc(0, 0.15, 1.05, 1.1, math.pi, 2 * math.pi), colour)
    dot = LIGHT if sum(colour) < 660 else (210, 60, 60)
    for x, y, r in ((-0.52, -0.18, 0.17), (0.05, -0.55, 0.2), (0.56, -0.12, 0.15)):
        pen.oval(x, y, r, r, dot)


def balloon(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.stroke([(0, 0.5), (0.09, 0.8), (-0.07, 1.25)], deeper(colour), 0.08)
    pen.fill([(0, 0.46), (0.18, 0.74), (-0.18, 0.74)], deeper(colour))
    pen.oval(0, -0.22, 0.76, 0.88, colour)
    pen.oval(-0.28, -0.52, 0.13, 0.2, mix(colour, (255, 255, 255), 0.45))


def flower(pen: Pen, colour: RGB, tilt: float) -> None:
    heart_of_it = COLOURS["yellow"]
    if distance(colour, heart_of_it) <= 150:
        heart_of_it = COLOURS["brown"]
    pen.stroke([(0, 0), (0, 1.2)], LEAF if distance(colour, LEAF) > 60 else (24, 96, 40), 0.14)
    for i in range(6):
        angle = i * math.pi / 3 + 0.3
        pen.oval(0.54 * math.cos(angle), -0.25 + 0.54 * math.sin(angle), 0.36, 0.36, colour)
    pen.oval(0, -0.25, 0.32, 0.32, heart_of_it)


def smiley_face(pen: Pen, colour: RGB, tilt: float) -> None:
    face = LIGHT if is_dark(colour) else DARK
    pen.oval(0, 0, 1, 1, colour)
    for side in (-1, 1):
        pen.oval(side * 0.36, -0.26, 0.15, 0.21, face)
    pen.stroke(arc(0, 0.06, 0.6, 0.6, 0.13 * math.pi, 0.87 * math.pi), face, 0.16)


def boat(pen: Pen, colour: RGB, tilt: float) -> None:
    """A hull, a mast, a sail of the hull's colour and a pale one."""
    pen.stroke([(0, 0.35), (0, -1.08)], WOOD, 0.1)
    pen.fill([(0.1, -1.0), (0.1, 0.38), (0.92, 0.38)], colour)
    pale: RGB = (240, 232, 214) if sum(colour) < 660 else (200, 190, 170)
    pen.fill([(-0.1, -0.75), (-0.1, 0.38), (-0.72, 0.38)], pale)
    pen.fill([(-1.1, 0.36), (1.1, 0.36), (0.72, 0.98), (-0.72, 0.98)], colour)


def deeper(colour: RGB) -> RGB:
    """The colour in shadow; a colour that is already dark is made lighter instead."""
    if is_dark(colour):
        return mix(colour, (255, 255, 255), 0.3)
    return mix(colour, (0, 0, 0), 0.3)


SHAPES: dict[str, Callable[[Pen, RGB, float], None]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "heart": heart,
    "ring": ring,
    "moon": moon,
    "diamond": diamond,
    "cross": cross,
}
THINGS: dict[str, Callable[[Pen, RGB, float], None]] = {
    "cat": cat,
    "fish": fish,
    "house": house,
    "tree": tree,
    "mushroom": mushroom,
    "balloon": balloon,
    "flower": flower,
    "smiley face": smiley_face,
    "boat": boat,
}
OBJECTS = {**SHAPES, **THINGS}
KINDS = tuple(OBJECTS)


def draw_object(pen: Pen, kind: str, colour: RGB, rng: random.Random) -> None:
    OBJECTS[kind](pen, colour, rng.uniform(-0.05, 0.05))
