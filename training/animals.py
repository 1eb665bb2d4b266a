"""Animals and people, drawn as simply as the first objects: few bold strokes in a unit circle."""

import math

from training.objects import DARK, LIGHT, deeper
from training.palette import COLOURS, RGB, distance, mix
from training.pen import Pen, arc

BEAK: RGB = (246, 150, 40)
SKIN: RGB = (244, 205, 172)


def pale(colour: RGB) -> RGB:
    """The colour in bright light: a belly, a muzzle."""
    return mix(colour, (255, 255, 255), 0.55)


def eye(pen: Pen, x: float, y: float, size: float = 0.1) -> None:
    pen.oval(x, y, size * 1.5, size * 1.6, LIGHT)
    pen.oval(x, y, size * 0.85, size, DARK)


def dog(pen: Pen, colour: RGB, tilt: float) -> None:
    """A head with two hanging ears, a long muzzle, a black nose and a tongue."""
    pen.oval(0, 0, 0.78, 0.86, colour)
    for side in (-1, 1):
        pen.oval(side * 0.78, -0.05, 0.27, 0.62, deeper(colour))
        eye(pen, side * 0.3, -0.2)
    pen.fill([(-0.14, 0.5), (0.14, 0.5), (0.14, 0.95), (-0.14, 0.95)], COLOURS["pink"])
    pen.oval(0, 0.4, 0.4, 0.32, pale(colour))
    pen.oval(0, 0.22, 0.17, 0.12, DARK)


def bird(pen: Pen, colour: RGB, tilt: float) -> None:
    """It looks to the left: body, tail, wing, beak, two legs."""
    for x in (-0.1, 0.2):
        pen.stroke([(x, 0.55), (x, 1.05)], BEAK, 0.09)
    pen.fill([(0.5, 0.1), (1.15, -0.35), (1.1, 0.3)], deeper(colour))
    pen.oval(0.05, 0.15, 0.72, 0.52, colour)
    pen.oval(-0.5, -0.42, 0.42, 0.4, colour)
    pen.fill([(-0.86, -0.52), (-1.2, -0.34), (-0.84, -0.24)], BEAK)
    pen.fill(arc(0.2, 0.02, 0.42, 0.46, 0, math.pi), deeper(colour))
    eye(pen, -0.56, -0.5, 0.08)


def duck(pen: Pen, colour: RGB, tilt: float) -> None:
    """It swims to the left: a boat of a body, a long neck, a flat beak."""
    pen.fill(arc(0.1, 0.1, 0.95, 0.75, 0, math.pi), colour)
    pen.fill([(0.7, 0.15), (1.15, -0.25), (1.0, 0.4)], colour)
    pen.fill([(-0.75, -0.4), (-0.3, -0.4), (-0.2, 0.3), (-0.8, 0.3)], colour)
    pen.oval(-0.52, -0.55, 0.38, 0.36, colour)
    pen.fill([(-0.82, -0.6), (-1.2, -0.5), (-1.2, -0.38), (-0.8, -0.38)], BEAK)
    pen.fill(arc(0.2, 0.25, 0.46, 0.32, 0, math.pi), deeper(colour))
    eye(pen, -0.58, -0.64, 0.07)


def rabbit(pen: Pen, colour: RGB, tilt: float) -> None:
    """A head with two long ears, a pink nose, two teeth."""
    for side in (-1, 1):
        pen.oval(side * 0.34, -0.68, 0.22, 0.6, colour)
        pen.oval(side * 0.34, -0.66, 0.1, 0.42, COLOURS["pink"])
    pen.oval(0, 0.32, 0.76, 0.68, colour)
    for side in (-1, 1):
        eye(pen, side * 0.3, 0.16)
    pen.fill([(-0.12, 0.62), (0.12, 0.62), (0.12, 0.84), (-0.12, 0.84)], LIGHT)
    pen.fill([(-0.13, 0.42), (0.13, 0.42), (0, 0.58)], COLOURS["pink"])


def bear(pen: Pen, colour: RGB, tilt: float) -> None:
    """A head with two round ears and a pale muzzle."""
    for side in (-1, 1):
        pen.oval(side * 0.66, -0.66, 0.32, 0.32, colour)
        pen.oval(side * 0.66, -0.66, 0.16, 0.16, deeper(colour))
    pen.oval(0, 0.08, 0.92, 0.84, colour)
    pen.oval(0, 0.38, 0.42, 0.34, pale(colour))
    pen.oval(0, 0.24, 0.16, 0.11, DARK)
    for side in (-1, 1):
        pen.oval(side * 0.36, -0.12, 0.1, 0.12, DARK if sum(colour) > 200 else LIGHT)


def butterfly(pen: Pen, colour: RGB, tilt: float) -> None:
    """Four wings with pale spots, a dark body, two feelers."""
    for side in (-1, 1):
        pen.oval(side * 0.56, -0.36, 0.5, 0.5, colour)
        pen.oval(side * 0.46, 0.44, 0.38, 0.42, deeper(colour))
        pen.oval(side * 0.6, -0.36, 0.2, 0.2, pale(colour))
        pen.stroke([(0, -0.6), (side * 0.25, -1.05)], DARK, 0.07)
    pen.oval(0, 0, 0.11, 0.7, DARK)


def turtle(pen: Pen, colour: RGB, tilt: float) -> None:
    """It walks to the left under a shell of the colour that was asked for."""
    skin: RGB = (140, 190, 90) if distance(colour, (140, 190, 90)) > 110 else (210, 180, 110)
    pen.oval(-0.92, 0.1, 0.27, 0.24, skin)
    for x in (-0.45, 0.5):
        pen.oval(x, 0.6, 0.2, 0.26, skin)
    pen.fill([(0.8, 0.45), (1.15, 0.55), (0.8, 0.6)], skin)
    pen.fill(arc(0.05, 0.5, 0.88, 1.05, math.pi, 2 * math.pi), colour)
    for x, y in ((-0.3, 0.18), (0.4, 0.18), (0.05, -0.22)):
        pen.oval(x, y, 0.19, 0.17, deeper(colour))
    pen.oval(-1.0, 0.05, 0.06, 0.07, DARK)


def snail(pen: Pen, colour: RGB, tilt: float) -> None:
    """A round shell with a spiral on a long foot, two feelers, looking to the left."""
    foot: RGB = (226, 190, 130) if distance(colour, (226, 190, 130)) > 110 else (150, 120, 90)
    pen.fill(
        [(-1.05, 0.1), (-0.72, 0.1), (-0.6, 0.55), (1.1, 0.75), (1.1, 0.9), (-0.95, 0.9)], foot
    )
    for x in (-1.05, -0.72):
        pen.stroke([(-0.88, 0.2), (x, -0.3)], foot, 0.08)
        pen.oval(x, -0.32, 0.08, 0.08, DARK)
    pen.oval(0.2, 0.1, 0.68, 0.68, colour)
    pen.oval(0.2, 0.1, 0.42, 0.42, deeper(colour))
    pen.oval(0.24, 0.12, 0.2, 0.2, colour)


def person(pen: Pen, colour: RGB, tilt: float) -> None:
    """A whole figure in clothes of the colour, arms a little away from the body."""
    hair: RGB = (90, 56, 30) if distance(colour, (90, 56, 30)) > 90 else (40, 32, 36)
    trousers: RGB = (60, 66, 96) if distance(colour, (60, 66, 96)) > 110 else (130, 120, 110)
    for side in (-1, 1):
        pen.stroke([(side * 0.3, -0.25), (side * 0.62, 0.3)], colour, 0.2)
        pen.oval(side * 0.64, 0.36, 0.12, 0.12, SKIN)
        pen.fill(
            [(side * 0.04, 0.3), (side * 0.36, 0.3), (side * 0.36, 1.1), (side * 0.08, 1.1)],
            trousers,
        )
    pen.fill([(-0.34, -0.4), (0.34, -0.4), (0.42, 0.42), (-0.42, 0.42)], colour)
    pen.oval(0, -0.76, 0.34, 0.34, hair)
    pen.oval(0, -0.68, 0.28, 0.29, SKIN)
    for side in (-1, 1):
        pen.oval(side * 0.11, -0.72, 0.04, 0.05, DARK)


def face(pen: Pen, colour: RGB, tilt: float) -> None:
    """A head with hair of the colour, eyes, a nose and a mouth."""
    pen.oval(0, -0.12, 0.96, 0.96, colour)
    pen.fill([(-0.94, -0.1), (0.94, -0.1), (0.94, 0.75), (-0.94, 0.75)], colour)
    pen.oval(0, 0.14, 0.7, 0.82, SKIN)
    pen.fill(arc(0, -0.18, 0.72, 0.52, math.pi, 2 * math.pi), colour)
    for side in (-1, 1):
        eye(pen, side * 0.28, 0.05, 0.1)
    pen.stroke([(0, 0.12), (0.06, 0.36), (-0.02, 0.38)], deeper(SKIN), 0.06)
    pen.stroke(arc(0, 0.46, 0.28, 0.2, 0.1 * math.pi, 0.9 * math.pi), COLOURS["red"], 0.09)


def ghost(pen: Pen, colour: RGB, tilt: float) -> None:
    """A sheet with a wavy hem, two eyes and a round mouth."""
    hem = [(0.8 - 0.2 * i, 1.0 if i % 2 == 0 else 0.72) for i in range(9)]
    pen.fill([*arc(0, -0.15, 0.8, 0.85, math.pi, 2 * math.pi), *hem], colour)
    dark = DARK if sum(colour) > 200 else LIGHT
    for side in (-1, 1):
        pen.oval(side * 0.28, -0.2, 0.13, 0.18, dark)
    pen.oval(0, 0.2, 0.12, 0.15, dark)


def robot(pen: Pen, colour: RGB, tilt: float) -> None:
    """A box of a head on a box of a body, an antenna, two lamps for eyes."""
    metal = deeper(colour)
    pen.stroke([(0, -0.7), (0, -1.0)], metal, 0.09)
    pen.oval(0, -1.05, 0.11, 0.11, COLOURS["red"])
    for side in (-1, 1):
        pen.stroke([(side * 0.5, 0.15), (side * 0.9, 0.55)], metal, 0.17)
        pen.fill(
            [(side * 0.1, 0.75), (side * 0.38, 0.75), (side * 0.38, 1.1), (side * 0.1, 1.1)], metal
        )
    pen.fill([(-0.5, -0.72), (0.5, -0.72), (0.5, -0.05), (-0.5, -0.05)], colour)
    pen.fill([(-0.55, 0.02), (0.55, 0.02), (0.55, 0.8), (-0.55, 0.8)], colour)
    light: RGB = (255, 236, 130) if distance(colour, (255, 236, 130)) > 150 else (40, 60, 120)
    for side in (-1, 1):
        pen.oval(side * 0.22, -0.46, 0.12, 0.12, light)
    pen.stroke([(-0.24, -0.2), (0.24, -0.2)], metal, 0.08)
    pen.fill([(-0.3, 0.2), (0.3, 0.2), (0.3, 0.5), (-0.3, 0.5)], metal)


def snowman(pen: Pen, colour: RGB, tilt: float) -> None:
    """Two balls of snow; the scarf and the hat have the colour."""
    snow: RGB = (250, 251, 253) if distance(colour, (250, 251, 253)) > 110 else (200, 216, 236)
    pen.oval(0, 0.52, 0.62, 0.56, snow)
    pen.oval(0, -0.28, 0.42, 0.4, snow)
    pen.fill([(-0.3, -1.08), (0.3, -1.08), (0.3, -0.62), (-0.3, -0.62)], colour)
    pen.fill([(-0.52, -0.66), (0.52, -0.66), (0.52, -0.54), (-0.52, -0.54)], colour)
    pen.fill([(-0.4, -0.02), (0.4, -0.02), (0.4, 0.16), (-0.4, 0.16)], colour)
    pen.fill([(0.12, 0.1), (0.34, 0.1), (0.3, 0.5), (0.1, 0.5)], colour)
    for side in (-1, 1):
        pen.oval(side * 0.15, -0.36, 0.05, 0.06, DARK)
    pen.fill([(0, -0.28), (0, -0.16), (-0.34, -0.2)], BEAK)
