"""Draws people as OpenPose does (Cao et al. 2017): limbs and joints in fixed colours on black."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float32]
"""(n, 3): x and y in pixels, and the score in 0..1."""
Position = tuple[float, float]

SCORE = 0.3
"""A joint of a lower score is not drawn, as in ControlNet's annotator."""
_USUAL_SIDE, _WIDTH = 512, 4
"""Half the width of a limb, and the radius of a joint, for images with that shorter side."""
_LIMB_BRIGHTNESS = 0.6

_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
_FROM_COCO = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose's 18 joints as numbers of COCO's 17; its neck (-1) is between the shoulders."""
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12)),
    *((12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
_COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""Of the 18 joints, and of the limbs in their order: what ControlNets for poses learnt."""


def draw_skeletons(people: Sequence[Points], size: tuple[int, int]) -> Image.Image:
    """RGB of this width and height; each person is COCO's 17 joints, (17, 3)."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    half = max(1.0, _WIDTH * min(size) / _USUAL_SIDE)
    bodies = [_find_joints(person) for person in people]
    for body in bodies:
        for (one, other), colour in zip(_LIMBS, _COLOURS, strict=False):
            start, end = body[one], body[other]
            if start and end:
                dimmed = tuple(int(level * _LIMB_BRIGHTNESS) for level in colour)
                draw.polygon(_outline_limb(start, end, half), fill=dimmed)
    for body in bodies:
        for joint, colour in zip(body, _COLOURS, strict=True):
            if joint:
                x, y = joint
                draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)
    return image


def _find_joints(person: Points) -> list[Position | None]:
    """OpenPose's joints, None where the score is too low."""
    seen = [(float(x), float(y)) if score >= SCORE else None for x, y, score in person]
    left, right = seen[_LEFT_SHOULDER], seen[_RIGHT_SHOULDER]
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if number < 0 else seen[number] for number in _FROM_COCO]


def _outline_limb(start: Position, end: Position, half: float) -> list[Position]:
    """A slim ellipse between two joints, 2 * half wide."""
    (x, y), (u, v) = start, end
    length, angle = math.hypot(u - x, v - y) / 2, math.atan2(v - y, u - x)
    cos, sin = math.cos(angle), math.sin(angle)
    points = []
    for degrees in range(0, 360, 10):
        along = length * math.cos(math.radians(degrees))
        across = half * math.sin(math.radians(degrees))
        points.append(
            ((x + u) / 2 + along * cos - across * sin, (y + v) / 2 + along * sin + across * cos)
        )
    return points
