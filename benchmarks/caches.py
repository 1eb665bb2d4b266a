"""What --cache saves, and what it costs, with the included model: the table of docs/speed.md.

    python -m benchmarks.caches [--prompts N] [--intervals N …] [--threads N]
    python -m benchmarks.caches --real [--side N] [--steps N] [--rounds N] [--threads N]

Held-out prompts, as in `training.evaluate`, each rendered with its seed without a cache and with
every interval. “Right” has the background, the object's colour and its shape right. PSNR is of the
images over those without a cache. --real measures only the time, with a random Stable Diffusion
1.5.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.abab import HEAD, compare, seconds
from benchmarks.random_sd15 import make_random_sd15
from benchmarks.tasks import recipe_of
from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from training.captions import plainly
from training.eval_prompts import background_right, colour_right, draw_paper
from training.image_analysis import analyze
from training.shape_classifier import load_reader, read_kinds


@dataclass
class Row:
    """What was measured with one setting."""

    title: str
    changes: Mapping[str, Any]
    """Of the recipe."""
    seconds: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)


def compute_psnr(image: Image.Image, original: Image.Image) -> float:
    """Of 8-bit RGB images of the same size, in dB; 99 for equal ones."""
    difference = np.asarray(image, np.float64) - np.asarray(original, np.float64)
    error = float((difference**2).mean())
    return 10 * float(np.log10(255**2 / error)) if error else 99.0


def measure(prompts: int, settings: Mapping[str, Mapping[str, Any]], switch: str) -> Iterator[str]:
    """The rows of the table: what each value of a switch changes in the recipe. The first is what
    the others are compared with."""
    generator = create_generator(ModelRegistry([get_shipped_models_dir()]).get_model)
    wanted = draw_paper(singles=prompts).singles
    rows = [Row(title, changes) for title, changes in settings.items()]
    plain = Recipe(
        prompt="", negative="", steps=20, seed=0, width=256, height=256, cfg_scale=3.0,
        sampler="dpmpp_2m_karras", model="tiny",
    )  # fmt: skip
    for seed, scene in enumerate(wanted):
        for row in rows:
            recipe = replace(plain, prompt=plainly(scene), seed=seed, **row.changes)
            began = time.process_time()
            image = generator.generate(recipe, lambda event: None).image
            row.seconds.append(time.process_time() - began)
            row.images.append(image)
            row.psnr.append(compute_psnr(image, rows[0].images[-1]))
    reader = load_reader()
    usual = statistics.median(rows[0].seconds)
    yield f"| `{switch}` | time | right | PSNR, median | least |"
    yield "|---|---|---|---|---|"
    for row in rows:
        right = 0
        for scene, image in zip(wanted, row.images, strict=True):
            found = analyze(image)
            kinds = read_kinds(reader, list(found.regions[:1]))
            right += (
                background_right(scene, found)
                and colour_right(scene, found)
                and kinds == [scene.objects[0].kind]
            )
        share = statistics.median(row.seconds) / usual
        quality = f"{statistics.median(row.psnr):.1f} dB | {min(row.psnr):.1f} dB"
        yield f"| {row.title} | {share:.2f} | {right / len(wanted):.1%} | {quality} |"


def measure_real(side: int, steps: int, rounds: int, intervals: Sequence[int]) -> Iterator[object]:
    """The time of an image with a random Stable Diffusion 1.5, over one without a cache."""
    with tempfile.TemporaryDirectory() as place:
        make_random_sd15(Path(place) / "one")
        generator = create_generator(ModelRegistry([Path(place)]).get_model)
        recipe = recipe_of("one", side, steps, None)
        yield f"{generator.load('one', lambda event: None).placement.precision}, {side} pixels"
        yield HEAD

        def make(interval: int | None) -> float:
            return _time(generator, replace(recipe, cache=interval))

        for interval in intervals:
            yield compare(
                f"--cache {interval}", lambda n=interval: make(n), lambda: make(None), rounds, 0
            )


def _time(generator: ImageGenerator, recipe: Recipe) -> float:
    return seconds(lambda: generator.generate(recipe, lambda event: None))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=240)
    parser.add_argument("--intervals", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--real", action="store_true", help="a random Stable Diffusion 1.5: time")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.real:
        for row in measure_real(chosen.side, chosen.steps, chosen.rounds, chosen.intervals):
            print(row, flush=True)
        return
    settings: dict[str, dict[str, Any]] = {"off": {}}
    settings |= {str(interval): {"cache": interval} for interval in chosen.intervals}
    for line in measure(chosen.prompts, settings, "--cache"):
        print(line, flush=True)


if __name__ == "__main__":
    main()
