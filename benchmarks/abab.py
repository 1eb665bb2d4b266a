"""Two ways of doing one thing, timed in turn (A B B A A B …), so that a busy machine is fair to
both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """What a benchmark prints: one row."""

    name: str
    ours: tuple[float, ...]
    plain: tuple[float, ...]
    """Seconds, in the order they were measured."""
    goal: float
    """The ratio of the medians that we want at most."""

    @property
    def ratio(self) -> float:
        """Ours over plain, of the medians."""
        return statistics.median(self.ours) / statistics.median(self.plain)

    def __str__(self) -> str:
        ours, plain = statistics.median(self.ours), statistics.median(self.plain)
        verdict = "" if not self.goal else f"{self.goal:5.2f} {'ok' if self.met else 'NOT MET'}"
        return f"{self.name:44} {ours:8.3f} {plain:8.3f} {self.ratio:7.3f}  {verdict}"

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.goal


HEAD = f"{'medians, in seconds':44} {'ours':>8} {'plain':>8} {'ratio':>7}  {'goal':>5}"


def compare(
    name: str, ours: Callable[[], float], plain: Callable[[], float], rounds: int, goal: float
) -> Comparison:
    """Call both in turn, so many times each; each returns the seconds it took. Whichever was second
    begins the next round, so neither is always the one after the other. A first call of each, that
    nobody counts, warms caches."""
    plain(), ours()
    ours_took: list[float] = []
    plain_took: list[float] = []
    for number in range(rounds):
        in_turn = [(plain, plain_took), (ours, ours_took)]
        for way, took in in_turn if number % 2 == 0 else reversed(in_turn):
            took.append(way())
    return Comparison(name, tuple(ours_took), tuple(plain_took), goal)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
