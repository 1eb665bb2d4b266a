"""What looking at a picture in the making costs: its steps with previews over those without.

    python -m benchmarks.preview [--rounds N] [--model NAME]

The same line in two sessions in turn, one of which looks. A look is timed by itself too, since a
hundredth of a step is less than a busy machine's steps differ from one another.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

import dream
from benchmarks.abab import HEAD, Comparison, compare
from dream.catalogue import ModelRegistry, find_models_dirs
from dream.core.events import Step
from dream.engine.sampling.preview import (
    MIN_INTERVAL,
    Previewer,
    get_rgb_factors,
    make_linear_previewer,
)
from dream.graphics import Terminal, TerminalImages
from dream.session import Session

GOAL = 1.01
LINE = "a red circle on a blue background -s20"


def step(session: Session) -> Callable[[], float]:
    """Makes a picture; the mean seconds of its steps, but for the first."""
    seeds = itertools.count(1)

    def make() -> float:
        reported = [
            time.perf_counter()
            for event in session.make(f"{LINE} -S{next(seeds)}")
            if isinstance(event, Step)
        ]
        return (reported[-1] - reported[0]) / (len(reported) - 1)

    return make


def of_a_look(work: Callable[[], object], rounds: int = 200) -> float:
    """Median seconds of something quick."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(model: str, rounds: int) -> tuple[Comparison, float]:
    """Steps with looks over steps without, and the seconds of one without."""
    with (
        tempfile.TemporaryDirectory() as folder,
        dream.open(model, outdir=f"{folder}/with", previews=True) as looking,
        dream.open(model, outdir=f"{folder}/without") as blind,
    ):
        name = f"{model}, a step, with previews over without"
        found = compare(name, step(looking), step(blind), rounds, GOAL)
    return found, statistics.median(found.plain)


def main() -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--model", default="tiny")
    arguments = parser.parse_args()
    info = ModelRegistry(find_models_dirs()).get_model(arguments.model)
    through = get_rgb_factors(info)
    if through is None:
        parser.error(f"nobody knows how to look at the latents of {info.name}")
    previewer: Previewer = make_linear_previewer(through)
    size = info.height // info.multiple, info.width // info.multiple
    latents = torch.randn(1, len(through.matrix), *size)
    seen = previewer(latents)
    assert seen is not None
    pictures = TerminalImages(terminal=Terminal(colours="all"), screen=lambda: (100, 40))
    found, of_a_step = measure(arguments.model, arguments.rounds)
    print(f"{HEAD}\n{found}\n")
    took = of_a_look(lambda: previewer(latents))
    share = took / max(MIN_INTERVAL, of_a_step)
    verdict = "ok" if share <= GOAL - 1 else "NOT MET"
    print(f"one look, in the worker         {took * 1e3:8.3f} ms, every {MIN_INTERVAL} s at most")
    print(f"its share of the time           {share:8.3%}  goal 1% {verdict}")
    drawn = of_a_look(lambda: pictures.render_live_frame(seen), 50)
    print(f"drawing it, in the prompt       {drawn * 1e3:8.3f} ms")


if __name__ == "__main__":
    main()
