"""Our session, worker process and log included, over diffusers' pipeline called directly.

    python -m benchmarks.session [--rounds N] [--small-rounds N] [--model FOLDER]

The same work on both sides: words in, a PNG on disk, the same scheduler, number type, seeds and
threads; the pictures are compared. Once with the shipped model, where the overhead shows most, and
once with a random Stable Diffusion of full size at 256 x 256 pixels and 3 steps; there also our
default number type over float32.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image, ImageChops, ImageStat

import dream
from benchmarks.abab import HEAD, Comparison, compare, seconds
from benchmarks.random_sd15 import make_random_sd15
from dream.catalogue import ModelRegistry, find_models_dirs
from dream.core.events import Saved
from dream.engine.memory.device import choose_placement
from dream.session import Session

PROMPT = "a red circle on a blue background"
SMALL_GOAL, LARGE_GOAL = 1.05, 1.01
LARGE_PARAMETERS = 860_000_000
SAME = 2.0
"""Grey levels, on average. Ours has its weights channels last and keeps its latents in float32, so
that low bits differ."""


def make_images(session: Session, line: str) -> Callable[[], float]:
    """Makes a picture through the session, each time with the next seed."""
    seeds = itertools.count(1)

    def make() -> None:
        events = list(session.make(f"{line} -S{next(seeds)}"))
        assert any(isinstance(event, Saved) for event in events), events

    return lambda: seconds(make)


def pipeline(pipe: Any, folder: Path, size: int, steps: int) -> Callable[[], float]:
    """Makes the same pictures as a script would, each time with the next seed."""
    seeds = itertools.count(1)

    def make() -> None:
        seed = next(seeds)
        made = pipe(
            PROMPT,
            width=size,
            height=size,
            num_inference_steps=steps,
            guidance_scale=7.5,
            generator=torch.Generator("cpu").manual_seed(seed),
        )
        made.images[0].save(folder / f"{seed}.png")

    return lambda: seconds(make)


def load(folder: Path, dtype: torch.dtype) -> Any:
    """The pipeline, as its documentation says."""
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextmanager
def ready(folder: Path, model: str, **options: Any) -> Iterator[Session]:
    """A session whose model is in memory."""
    outdir = str(folder / f"ours-{options.get('precision', 'auto')}")
    with dream.open(model, outdir=outdir, sampler="ddim", cfg_scale=7.5, **options) as session:
        yield session


def over_pipeline(
    name: str, model: Path, dtype: torch.dtype, size: int, steps: int, rounds: int, goal: float
) -> Comparison:
    """Our session over the pipeline, and a look whether they made the same pictures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        options = {"width": size, "height": size, "steps": steps}
        with ready(folder, str(model), **options) as session:
            plain = pipeline(load(model, dtype), folder, size, steps)
            found = compare(name, make_images(session, PROMPT), plain, rounds, goal)
        for ours in (folder / "ours-auto").glob("*.png"):
            theirs = folder / f"{ours.name.split('.')[1]}.png"
            apart = ImageChops.difference(Image.open(ours), Image.open(theirs))
            mean = sum(ImageStat.Stat(apart).mean) / 3
            assert mean < SAME, f"{ours.name}: not the same picture, {mean:.2f} grey levels apart"
    return found


def over_float32(name: str, model: Path, size: int, steps: int, rounds: int) -> Comparison:
    """Our default number type over float32, both in sessions of ours."""
    with tempfile.TemporaryDirectory() as place:
        options = {"width": size, "height": size, "steps": steps}
        with (
            ready(Path(place), str(model), **options) as default,
            ready(Path(place), str(model), precision="float32", **options) as exact,
        ):
            return compare(
                name, make_images(default, PROMPT), make_images(exact, PROMPT), rounds, 1.0
            )


def main() -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="with the model of full size")
    parser.add_argument("--small-rounds", type=int, default=21, help="with the shipped model")
    parser.add_argument("--model", type=Path, help="a Stable Diffusion 1.5 that is there already")
    arguments = parser.parse_args()
    tiny = ModelRegistry(find_models_dirs()).get_model("tiny")
    place = choose_placement("auto", "auto", LARGE_PARAMETERS)
    print(f"{torch.get_num_threads()} threads; large models: {place.reason}\n\n{HEAD}", flush=True)
    name = f"{tiny.name}, {tiny.width} px, 20 steps, over the pipeline"
    dtype, rounds = torch.float32, arguments.small_rounds
    print(over_pipeline(name, tiny.path, dtype, tiny.width, 20, rounds, SMALL_GOAL), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or make_random_sd15(Path(folder) / "random-sd15")
        name, rounds = "full size, 256 px, 3 steps, over the pipeline", arguments.rounds
        print(over_pipeline(name, model, place.dtype, 256, 3, rounds, LARGE_GOAL), flush=True)
        print(over_float32(f"full size, {place.precision} over float32", model, 256, 3, rounds))


if __name__ == "__main__":
    main()
