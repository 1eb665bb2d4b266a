"""The twelve colours that captions name, far enough apart to be recognised from a pixel."""

import random

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (222, 38, 40),
    "orange": (250, 140, 24),
    "yellow": (253, 220, 48),
    "green": (40, 158, 68),
    "blue": (38, 84, 214),
    "purple": (130, 54, 182),
    "pink": (250, 152, 196),
    "brown": (120, 74, 40),
    "black": (22, 22, 26),
    "white": (248, 248, 246),
    "gray": (142, 144, 148),
    "cyan": (66, 210, 224),
}
NAMES = tuple(COLOURS)
LEAST_DISTANCE = 110  # two colours in an image differ at least this much, summed over r, g, b


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` mixed with `share` of `b`."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, bl


def jitter(rng: random.Random, colour: RGB, by: float = 6) -> RGB:
    """The colour with a small random change."""
    r, g, b = (max(0, min(255, int(v + rng.uniform(-by, by)))) for v in colour)
    return r, g, b


def distance(a: RGB, b: RGB) -> int:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))


def alike(a: str, b: str) -> bool:
    """Whether two colours are too close to be distinguished when one is on the other."""
    return distance(COLOURS[a], COLOURS[b]) < LEAST_DISTANCE


def is_dark(colour: RGB) -> bool:
    return sum(colour) < 200
