"""A LoRA of rank 32 on Stable Diffusion 1.5: putting it on, and an image with it.

    uv run --with peft python -m benchmarks.adapters [--rounds N] [--steps N] [--side N]
        [--small | --model FOLDER]

Putting it on is compared with diffusers' load_lora_weights and set_adapters, which need peft; an
image with it with one without it, here and, for comparison, in diffusers, which does not merge.
The model is a random one of full size; --small takes the shipped model, and shows only that
everything runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils.logging import disable_progress_bar, set_verbosity_error
from safetensors.torch import save_file

from benchmarks.abab import HEAD, Comparison, compare, seconds
from benchmarks.random_sd15 import make_random_sd15
from benchmarks.tasks import recipe_of
from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.adapters.lora_file import open_lora
from dream.engine.adapters.weight_merge import WeightedLora, merge
from dream.engine.image_generator import ImageGenerator
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.sampling.noise import make_generator
from dream.options.lora import Lora

ON_GOAL, IMAGE_GOAL = 0.5, 1.01
RANK, WEIGHT = 32, 0.8
_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")


def write_lora(unet: Any, path: Path) -> Path:
    """A random LoRA of all attention projections, in diffusers' format, float16."""
    rng = torch.Generator().manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in unet.named_modules():
        if name.endswith(_LAYERS) and isinstance(layer, torch.nn.Linear):
            down = torch.randn(RANK, layer.in_features, generator=rng) / RANK
            up = torch.randn(layer.out_features, RANK, generator=rng) * 1e-3
            tensors[f"unet.{name}.lora_A.weight"] = down.half()
            tensors[f"unet.{name}.lora_B.weight"] = up.half()
    save_file(tensors, path)
    return path


def time_putting_on(loaded: LoadedModel, theirs: Any, lora: Path, rounds: int) -> Comparison:
    """From the file to the model; taking it off again is not counted."""

    def ours() -> float:
        def put_on() -> None:
            opened = WeightedLora(open_lora("rank32", lora), WEIGHT, WEIGHT)
            merge(loaded.adapters, (opened,), loaded.pipe, loaded.info.name)

        took = seconds(put_on)
        merge(loaded.adapters, (), loaded.pipe, loaded.info.name)
        return took

    def plain() -> float:
        def put_on() -> None:
            theirs.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="one")
            theirs.set_adapters("one", WEIGHT)

        took = seconds(put_on)
        theirs.unload_lora_weights()
        return took

    return compare("putting it on, over diffusers with peft", ours, plain, rounds, ON_GOAL)


def time_images(
    generators: Mapping[bool, ImageGenerator],
    theirs: Any,
    recipe: Recipe,
    lora: Path,
    rounds: int,
) -> Iterator[Comparison]:
    """An image with the LoRA over one without it; by the clock, and, for a machine that has other
    work, by the processor's time.

    Each way has a model of its own, and keeps it as it is: where merged weights were freed, GNU's
    malloc has room for what convolutions allocate. Without that it gets their 59 MB from the system
    each time, page by page: 165,000 pages for an image of 128 pixels and two steps, a tenth of its
    time. So an image after a LoRA is faster than one before it, and is none to compare with.
    """
    processor: dict[bool, list[float]] = {True: [], False: []}

    def make(with_it: bool) -> float:
        one = replace(recipe, lora=(Lora(str(lora), WEIGHT),)) if with_it else recipe
        began = time.process_time()
        took = seconds(lambda: generators[with_it].generate(one, lambda event: None))
        processor[with_it].append(time.process_time() - began)
        return took

    name = "an image with it, over one without"
    make(False), make(True)  # loads and merges
    yield compare(name, lambda: make(True), lambda: make(False), rounds, IMAGE_GOAL)
    # Without those that loaded, and the first ones of `compare`.
    ours, plain = (tuple(processor[with_it][2:]) for with_it in (True, False))
    yield Comparison("the same, in the processor's time", ours, plain, IMAGE_GOAL)

    def run() -> float:
        return seconds(
            lambda: theirs(
                recipe.prompt,
                num_inference_steps=recipe.steps,
                guidance_scale=recipe.cfg_scale,
                generator=make_generator(recipe.seed),
                height=recipe.height,
                width=recipe.width,
            )
        )

    def run_with() -> float:
        theirs.enable_lora()
        took = run()
        theirs.disable_lora()
        return took

    theirs.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="one")
    theirs.disable_lora()
    yield compare("the same in diffusers, not merged", run_with, run, rounds, 0)


def measure(
    folder: Path, side: int, steps: int, rounds: int, report: Callable[[object], None]
) -> None:
    """Measure the model in folder/one, and report each row."""
    registry = ModelRegistry([folder])
    generator = create_generator(registry.get_model)
    loaded = generator.load("one", lambda event: None)
    theirs: Any = StableDiffusionPipeline.from_pretrained(
        folder / "one", dtype=loaded.placement.dtype, safety_checker=None
    ).to(loaded.placement.device)
    theirs.set_progress_bar_config(disable=True)
    lora = write_lora(loaded.pipe.unet, folder / "rank32.safetensors")
    report(f"{lora.stat().st_size / 2**20:.0f} MiB, rank {RANK}; {loaded.placement.dtype}")
    report(HEAD)
    report(time_putting_on(loaded, theirs, lora, rounds))
    recipe = recipe_of("one", side, steps, None)
    generators = {False: generator, True: create_generator(registry.get_model)}
    for row in time_images(generators, theirs, recipe, lora, rounds):
        report(row)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--side", type=int, help="pixels; else 512, and 128 for --small")
    parser.add_argument("--small", action="store_true", help="the shipped model: does it run?")
    parser.add_argument("--model", type=Path, help="a Stable Diffusion 1.5 that is there already")
    arguments = parser.parse_args()
    if find_spec("peft") is None:
        sys.exit("diffusers needs peft: uv run --with peft python -m benchmarks.adapters")
    disable_progress_bar()
    set_verbosity_error()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if arguments.small or arguments.model:
            shipped = get_shipped_models_dir() / "tiny"
            chosen = shipped if arguments.small else arguments.model.absolute()
            (folder / "one").symlink_to(chosen)
        else:
            make_random_sd15(folder / "one")
        side = arguments.side or (128 if arguments.small else 512)
        measure(folder, side, arguments.steps, arguments.rounds, lambda row: print(row, flush=True))


if __name__ == "__main__":
    main()
