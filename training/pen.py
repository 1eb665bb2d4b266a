"""A pen that draws in the unit circle of one object: (0, 0) is its centre, y points down, its
radius is 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

from training.palette import RGB

Point = tuple[float, float]


@dataclass(frozen=True)
class Pen:
    draw: ImageDraw.ImageDraw
    x: float
    y: float
    radius: float
    ink: RGB | None = None  # line drawing: every outline in this colour …
    paper: RGB = (255, 255, 255)  # … around this one
    width: int = 4

    def _place(self, points: Sequence[Point]) -> list[Point]:
        return [(self.x + px * self.radius, self.y + py * self.radius) for px, py in points]

    def fill(self, points: Sequence[Point], colour: RGB) -> None:
        placed = self._place(points)
        if self.ink is None:
            self.draw.polygon(placed, fill=colour)
            return
        self.draw.polygon(placed, fill=self.paper)
        self.draw.line([*placed, *placed[:2]], fill=self.ink, width=self.width, joint="curve")

    def oval(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        self.fill(arc(x, y, rx, ry), colour)

    def stroke(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        self.draw.line(
            self._place(points),
            fill=self.ink or colour,
            width=max(2, int(width * self.radius)) if self.ink is None else self.width,
            joint="curve",
        )

    def band(self, inner: float, colour: RGB) -> None:
        """A ring of radius 1 with a hole of radius `inner`, over any background."""
        box = (
            self.x - self.radius,
            self.y - self.radius,
            self.x + self.radius,
            self.y + self.radius,
        )
        if self.ink is None:
            self.draw.ellipse(box, outline=colour, width=int((1 - inner) * self.radius))
        else:
            self.oval(0, 0, 1, 1, colour)
            self.oval(0, 0, inner, inner, colour)


def arc(
    x: float,
    y: float,
    rx: float,
    ry: float,
    start: float = 0,
    end: float = 2 * math.pi,
    steps: int = 44,
) -> list[Point]:
    turns = [start + (end - start) * i / steps for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in turns]


def turned(points: Sequence[Point], angle: float) -> list[Point]:
    c, s = math.cos(angle), math.sin(angle)
    return [(x * c - y * s, x * s + y * c) for x, y in points]
