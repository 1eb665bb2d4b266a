"""Things that people make, and things that grow or shine: drawn like the first objects."""

import math

from training.objects import DARK, LEAF, LIGHT, WOOD, deeper, star_points
from training.palette import COLOURS, RGB, distance, is_dark, mix
from training.pen import Pen, Point, arc

GLASS: RGB = (190, 222, 244)


def unlike(colour: RGB, first: RGB, second: RGB) -> RGB:
    """The first of two colours, or the second where the first is too near to `colour`."""
    return first if distance(colour, first) > 110 else second


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.oval(x, y, radius, radius, DARK)
    pen.oval(x, y, radius * 0.45, radius * 0.45, (170, 174, 180))


def car(pen: Pen, colour: RGB, tilt: float) -> None:
    """It drives to the left: a long body, a cabin with two windows, two wheels."""
    pen.fill([(-0.5, -0.5), (0.45, -0.5), (0.75, 0.0), (-0.75, 0.0)], colour)
    glass = unlike(colour, GLASS, (90, 110, 140))
    pen.fill([(-0.42, -0.4), (-0.05, -0.4), (-0.05, -0.04), (-0.6, -0.04)], glass)
    pen.fill([(0.05, -0.4), (0.38, -0.4), (0.58, -0.04), (0.05, -0.04)], glass)
    pen.fill(box(-1.1, -0.05, 1.1, 0.45), colour)
    pen.oval(-1.0, 0.1, 0.1, 0.1, (255, 240, 150))
    for x in (-0.6, 0.6):
        wheel(pen, x, 0.45, 0.27)


def bus(pen: Pen, colour: RGB, tilt: float) -> None:
    """A tall box on two wheels with a row of windows."""
    pen.fill(box(-1.1, -0.65, 1.1, 0.5), colour)
    glass = unlike(colour, GLASS, (90, 110, 140))
    for i in range(4):
        pen.fill(box(-0.95 + 0.5 * i, -0.48, -0.57 + 0.5 * i, -0.05), glass)
    pen.fill(box(-1.1, 0.12, 1.1, 0.22), deeper(colour))
    for x in (-0.6, 0.6):
        wheel(pen, x, 0.52, 0.25)


def train(pen: Pen, colour: RGB, tilt: float) -> None:
    """A steam engine that drives to the left: boiler, chimney, cabin, wheels."""
    pen.fill(box(-0.95, -0.65, -0.65, 0.0), DARK if not is_dark(colour) else (110, 110, 120))
    pen.fill(box(-1.1, -0.15, 0.4, 0.4), colour)
    pen.fill(box(0.25, -0.75, 1.0, 0.4), colour)
    pen.fill(box(0.15, -0.9, 1.1, -0.72), deeper(colour))
    pen.fill(box(0.42, -0.52, 0.82, -0.12), unlike(colour, GLASS, (90, 110, 140)))
    pen.fill([(-1.1, 0.4), (-1.25, 0.75), (-0.9, 0.4)], deeper(colour))
    for x in (-0.7, -0.1, 0.65):
        wheel(pen, x, 0.55, 0.27)


def plane(pen: Pen, colour: RGB, tilt: float) -> None:
    """It flies to the left: body, wing, tail, windows."""
    pen.fill([(0.6, -0.05), (1.1, -0.75), (1.15, -0.05)], deeper(colour))
    pen.oval(0, 0, 1.1, 0.28, colour)
    pen.fill([(-0.25, 0.05), (0.3, 0.05), (0.75, 0.85), (0.4, 0.85)], deeper(colour))
    for i in range(4):
        pen.oval(-0.6 + 0.3 * i, -0.08, 0.08, 0.08, unlike(colour, GLASS, DARK))


def rocket(pen: Pen, colour: RGB, tilt: float) -> None:
    """It points up: a body with a round window, two fins, a flame."""
    flame = unlike(colour, COLOURS["orange"], COLOURS["red"])
    pen.fill([(-0.24, 0.6), (0.24, 0.6), (0, 1.2)], flame)
    for side in (-1, 1):
        pen.fill([(side * 0.3, 0.1), (side * 0.75, 0.75), (side * 0.3, 0.65)], deeper(colour))
    pen.fill([*arc(0, 0.1, 0.42, 1.2, math.pi, 2 * math.pi), (0.34, 0.65), (-0.34, 0.65)], colour)
    pen.oval(0, -0.3, 0.22, 0.22, LIGHT)
    pen.oval(0, -0.3, 0.14, 0.14, (80, 130, 200))


def apple(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.stroke([(0, -0.5), (0.1, -0.95)], unlike(colour, WOOD, DARK), 0.12)
    pen.oval(0.36, -0.82, 0.28, 0.14, unlike(colour, LEAF, (24, 96, 40)))
    for side in (-1, 1):
        pen.oval(side * 0.33, 0.15, 0.62, 0.75, colour)
    pen.oval(-0.42, -0.12, 0.12, 0.18, mix(colour, (255, 255, 255), 0.5))


def cup(pen: Pen, colour: RGB, tilt: float) -> None:
    """A mug with its handle on the right and steam above."""
    pen.oval(0.72, 0.2, 0.38, 0.4, colour)
    pen.oval(0.72, 0.2, 0.2, 0.22, pen.paper if pen.ink else mix(colour, (255, 255, 255), 0.75))
    pen.fill([(-0.75, -0.35), (0.75, -0.35), (0.62, 0.95), (-0.62, 0.95)], colour)
    pen.oval(0, -0.35, 0.75, 0.2, deeper(colour))
    for x in (-0.25, 0.25):
        pen.stroke([(x, -0.65), (x + 0.1, -0.85), (x - 0.05, -1.1)], (205, 210, 216), 0.09)


def book(pen: Pen, colour: RGB, tilt: float) -> None:
    """It lies open: two pages on a cover of the colour."""
    pen.fill([(-1.1, -0.55), (1.1, -0.55), (1.1, 0.72), (-1.1, 0.72)], colour)
    page = unlike(colour, LIGHT, (222, 214, 190))
    for side in (-1, 1):
        pen.fill([(0, -0.55), (side * 0.95, -0.7), (side * 0.95, 0.5), (0, 0.62)], page)
        for i in range(3):
            y = -0.35 + 0.3 * i
            pen.stroke([(side * 0.2, y), (side * 0.78, y - 0.08)], (150, 150, 156), 0.06)
    pen.stroke([(0, -0.55), (0, 0.66)], deeper(colour), 0.08)


def cake(pen: Pen, colour: RGB, tilt: float) -> None:
    """Two layers with icing that runs down, and a candle."""
    cream = unlike(colour, (252, 240, 220), (226, 200, 160))
    pen.fill(box(-0.07, -0.95, 0.07, -0.5), unlike(colour, COLOURS["cyan"], COLOURS["pink"]))
    pen.oval(0, -1.05, 0.09, 0.14, COLOURS["orange"])
    pen.fill(box(-0.85, -0.5, 0.85, 0.85), cream)
    pen.fill(box(-0.85, -0.5, 0.85, -0.05), colour)
    for x in (-0.6, -0.2, 0.2, 0.6):
        pen.oval(x, -0.02, 0.2, 0.24, colour)
    pen.fill(box(-0.85, 0.45, 0.85, 0.6), colour)
    pen.fill(box(-1.1, 0.85, 1.1, 0.98), (196, 200, 206))


def ice_cream(pen: Pen, colour: RGB, tilt: float) -> None:
    """A ball of the colour in a cone."""
    cone = unlike(colour, (222, 168, 96), (170, 112, 56))
    pen.fill([(-0.5, -0.1), (0.5, -0.1), (0, 1.15)], cone)
    pen.oval(0, -0.42, 0.64, 0.6, colour)
    for x in (-0.36, 0.0, 0.36):
        pen.oval(x, 0.0, 0.2, 0.18, colour)
    pen.oval(-0.22, -0.65, 0.13, 0.15, mix(colour, (255, 255, 255), 0.5))


def key(pen: Pen, colour: RGB, tilt: float) -> None:
    pen.oval(-0.6, 0, 0.48, 0.48, colour)
    pen.oval(-0.6, 0, 0.2, 0.2, pen.paper)
    pen.fill(box(-0.2, -0.13, 1.1, 0.13), colour)
    pen.fill(box(0.5, 0.1, 0.66, 0.45), colour)
    pen.fill(box(0.88, 0.1, 1.06, 0.52), colour)


def lamp(pen: Pen, colour: RGB, tilt: float) -> None:
    """A table lamp: a shade of the colour, a stem, a foot."""
    stem = unlike(colour, WOOD, (170, 150, 120))
    pen.fill(box(-0.08, 0.1, 0.08, 0.9), stem)
    pen.fill(arc(0, 1.0, 0.5, 0.25, math.pi, 2 * math.pi), stem)
    pen.fill([(-0.4, -1.0), (0.4, -1.0), (0.85, 0.15), (-0.85, 0.15)], colour)
    pen.oval(0, 0.25, 0.16, 0.12, (255, 236, 130))


def hat(pen: Pen, colour: RGB, tilt: float) -> None:
    """A wide brim, a tall crown, a band."""
    pen.fill([(-0.55, 0.4), (-0.48, -0.75), (0.48, -0.75), (0.55, 0.4)], colour)
    pen.fill([(-0.55, 0.1), (0.55, 0.1), (0.56, 0.4), (-0.56, 0.4)], deeper(colour))
    pen.oval(0, 0.5, 1.1, 0.22, colour)


def umbrella(pen: Pen, colour: RGB, tilt: float) -> None:
    """An open umbrella with a hooked handle."""
    wood = unlike(colour, WOOD, DARK)
    pen.stroke([(0, -0.9), (0, 0.85)], wood, 0.09)
    pen.stroke([(0, 0.85), (-0.12, 1.02), (-0.3, 0.95), (-0.32, 0.8)], wood, 0.09)
    pen.fill(arc(0, 0.05, 1.08, 0.98, math.pi, 2 * math.pi), colour)
    for x in (-0.72, 0.0, 0.72):
        pen.oval(x, 0.06, 0.36, 0.14, deeper(colour))


def crown(pen: Pen, colour: RGB, tilt: float) -> None:
    """Five points with beads, and a band with stones."""
    points = [(-1.0, -0.5), (-0.55, 0.1), (-0.32, -0.75), (0, 0.05), (0.32, -0.75), (0.55, 0.1)]
    pen.fill([*points, (1.0, -0.5), (0.85, 0.75), (-0.85, 0.75)], colour)
    bead = unlike(colour, COLOURS["red"], COLOURS["cyan"])
    for x, y in ((-1.0, -0.55), (-0.32, -0.82), (0.32, -0.82), (1.0, -0.55)):
        pen.oval(x, y, 0.12, 0.12, bead)
    pen.fill([(-0.83, 0.42), (0.83, 0.42), (0.8, 0.68), (-0.8, 0.68)], deeper(colour))
    for x in (-0.45, 0.0, 0.45):
        pen.oval(x, 0.55, 0.1, 0.1, bead)


def sun(pen: Pen, colour: RGB, tilt: float) -> None:
    """A disc with twelve rays."""
    pen.fill(star_points(12, 1.12, 0.72), deeper(colour) if is_dark(colour) else colour)
    pen.oval(0, 0, 0.62, 0.62, mix(colour, (255, 255, 255), 0.25))


def cloud(pen: Pen, colour: RGB, tilt: float) -> None:
    for x, y, rx, ry in ((-0.6, 0.2, 0.5, 0.42), (0.62, 0.2, 0.5, 0.42), (0, -0.12, 0.66, 0.6)):
        pen.oval(x, y, rx, ry, colour)
    pen.fill(box(-0.6, 0.15, 0.62, 0.62), colour)


def mountain(pen: Pen, colour: RGB, tilt: float) -> None:
    """Two peaks with snow on them."""
    snow = unlike(colour, LIGHT, (176, 196, 220))
    pen.fill([(0.0, 0.8), (0.55, -0.35), (1.15, 0.8)], deeper(colour))
    pen.fill([(-1.15, 0.8), (-0.25, -1.0), (0.7, 0.8)], colour)
    pen.fill([(-0.5, -0.5), (-0.25, -1.0), (0.02, -0.48), (-0.16, -0.34), (-0.3, -0.5)], snow)


def leaf(pen: Pen, colour: RGB, tilt: float) -> None:
    """A pointed leaf with its veins, on a stalk."""
    side = arc(-0.55, 0, 1.1, 1.1, -0.29 * math.pi, 0.29 * math.pi, 20)
    pen.fill([*side, *[(-x, y) for x, y in reversed(side)]], colour)
    vein = deeper(colour)
    pen.stroke([(0, -0.6), (0, 1.2)], vein, 0.09)
    for y in (-0.2, 0.15, 0.5):
        for sign in (-1, 1):
            pen.stroke([(0, y), (sign * 0.32, y - 0.22)], vein, 0.06)


def castle(pen: Pen, colour: RGB, tilt: float) -> None:
    """Two towers with pointed roofs, battlements, a gate."""
    roof = unlike(colour, (170, 60, 60), (70, 80, 140))
    pen.fill(box(-0.6, -0.1, 0.6, 0.95), colour)
    for i in range(3):
        pen.fill(box(-0.42 + 0.32 * i, -0.28, -0.22 + 0.32 * i, -0.1), colour)
    for side in (-1, 1):
        pen.fill(
            box(min(side * 0.55, side * 1.0), -0.45, max(side * 0.55, side * 1.0), 0.95),
            deeper(colour),
        )
        pen.fill([(side * 0.45, -0.42), (side * 1.1, -0.42), (side * 0.78, -1.1)], roof)
    gate = unlike(colour, (80, 54, 36), (190, 170, 140))
    pen.fill([*arc(0, 0.5, 0.24, 0.26, math.pi, 2 * math.pi), (0.24, 0.95), (-0.24, 0.95)], gate)
