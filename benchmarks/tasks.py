"""Pictures from words, from pictures and inside masks: over diffusers' own pipelines.

    python -m benchmarks.tasks [--rounds N] [--steps N] [--side N] [--small | --model FOLDER]

With a random Stable Diffusion of full size; --small takes the shipped model, and shows only that
everything runs. Then: what a second and a third task add to the memory of the first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from diffusers import (
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from diffusers.utils.logging import disable_progress_bar
from PIL import Image

from benchmarks.abab import HEAD, Comparison, compare, seconds
from benchmarks.random_sd15 import make_random_sd15
from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.memory.memory_estimate import estimate_memory
from dream.engine.sampling.noise import make_generator
from dream.engine.tasks import TaskInputs

GOAL = 1.05
COPY = 0.25
"""Of the weights: less than this, and there can be no second copy of them."""

PIPELINES = {
    "text to image": StableDiffusionPipeline,
    "image to image": StableDiffusionImg2ImgPipeline,
    "inpainting": StableDiffusionInpaintPipeline,
}


def recipe_of(model: str, side: int, steps: int, strength: float | None) -> Recipe:
    """A picture to measure by."""
    return Recipe(
        prompt="a red circle on blue",
        negative="",
        steps=steps,
        seed=1,
        width=side,
        height=side,
        cfg_scale=5.0,
        sampler="ddim",
        model=model,
        strength=strength,
    )


def inputs_for(task: str, side: int) -> TaskInputs:
    """A grey picture, and a mask of its right half, as the task wants them."""
    mask = Image.new("L", (side, side), 0)
    mask.paste(255, (side // 2, 0, side, side))
    image = Image.new("RGB", (side, side), "gray")
    return {
        "text to image": TaskInputs(),
        "image to image": TaskInputs(image=image),
        "inpainting": TaskInputs(image=image, mask=mask),
    }[task]


def plain(pipe: Any, recipe: Recipe, inputs: TaskInputs) -> Callable[[], object]:
    """The same picture by diffusers alone."""
    begin: dict[str, Any] = {"height": recipe.height, "width": recipe.width}
    if inputs.image is not None:
        begin = {"image": inputs.image, "strength": recipe.strength}
    if inputs.mask is not None:
        begin |= {"mask_image": inputs.mask, "height": recipe.height, "width": recipe.width}
    return lambda: pipe(
        recipe.prompt,
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.cfg_scale,
        generator=make_generator(recipe.seed),
        **begin,
    )


def timed(
    generator: ImageGenerator, model: str, side: int, steps: int, rounds: int
) -> list[Comparison]:
    """Each task, over the pipeline that diffusers has for it. Both have the same weights in
    memory, so that nothing but the way to the picture differs."""
    loaded = generator.load(model, lambda event: None)
    found = []
    for task, kind in PIPELINES.items():
        inputs = inputs_for(task, side)
        recipe = recipe_of(model, side, steps, None if inputs.image is None else 0.5)
        pipe = kind.from_pipe(loaded.pipe, dtype=loaded.placement.dtype)
        pipe.set_progress_bar_config(disable=True)
        # Not ours, which leaves latents in float32 for the callback that diffusers alone has not.
        pipe.scheduler = DDIMScheduler.from_config(loaded.pipe.scheduler.config)
        theirs = plain(pipe, recipe, inputs)

        def ours(recipe: Recipe = recipe, inputs: TaskInputs = inputs) -> object:
            return generator.generate(recipe, lambda event: None, inputs)

        pair = (lambda work=ours: seconds(work)), (lambda work=theirs: seconds(work))
        found.append(compare(f"{task}, over diffusers", *pair, rounds, GOAL))
    return found


def memory(generator: ImageGenerator, registry: ModelRegistry, model: str, side: int) -> str:
    """What the process grows by when the other tasks come after words alone."""
    process, sizes = psutil.Process(), []
    for task in PIPELINES:
        inputs = inputs_for(task, side)
        strength = None if inputs.image is None else 0.5
        generator.generate(recipe_of(model, side, 2, strength), lambda event: None, inputs)
        sizes.append(process.memory_info().rss)
    more = max(sizes) - sizes[0]
    weights = estimate_memory(registry.get_model(model), "auto", "auto").weights
    verdict = "ok" if more < COPY * max(weights, 2**29) else "NOT MET"
    arguments = (
        f"{more / 2**20:.0f} MiB more for all tasks; the weights are {weights / 2**20:.0f} MiB"
    )
    return f"{arguments}  {verdict}"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--side", type=int, help="pixels; else 512, and 256 for --small")
    parser.add_argument("--small", action="store_true", help="the shipped model: does it run?")
    parser.add_argument("--model", type=Path, help="a Stable Diffusion 1.5 that is there already")
    arguments = parser.parse_args()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if arguments.small or arguments.model:
            chosen = (
                get_shipped_models_dir() / "tiny" if arguments.small else arguments.model.absolute()
            )
            (folder / "one").symlink_to(chosen)
        else:
            make_random_sd15(folder / "one")
        registry = ModelRegistry([folder])
        generator = create_generator(registry.get_model)
        side = arguments.side or (256 if arguments.small else 512)
        print(memory(generator, registry, "one", side), flush=True)
        print(HEAD)
        for row in timed(generator, "one", side, arguments.steps, arguments.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()
