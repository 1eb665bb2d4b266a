"""Models: loaded, switched, recognised; over diffusers where it does the same.

    python -m benchmarks.models [--rounds N] [--small | --model FOLDER]

With a random Stable Diffusion of full size; --small takes one of a few million parameters, and
shows only that everything runs: what libraries do once for every model outweighs its weights.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import StableDiffusionPipeline
from diffusers.utils.logging import disable_progress_bar
from safetensors.torch import load_file

from benchmarks.abab import HEAD, Comparison, compare, seconds
from benchmarks.random_sd15 import make_random_sd15
from dream.catalogue import ModelRegistry
from dream.catalogue.detect import classify, read_header
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.interface import GenerationCancelled, Progress
from dream.engine.memory.low_memory import free_memory
from dream.engine.memory.memory_estimate import estimate_memory
from dream.worker import WorkerEngine
from tests import single_files
from tests.comfyui_tree import write_comfyui_tree
from tests.random_layouts import make_layout

LOAD_GOAL, MEMORY_GOAL = 1.0, 1.1
SWITCH_GOAL, RECOGNISE_GOAL = 50.0, 20.0
"""Milliseconds."""
OVERHEAD = 0.6 * 2**30
"""Bytes that the goal for memory allows besides the weights."""
NAMES = {
    "one": "a folder to its first step, over diffusers'",
    "file": "a file to its first step, over diffusers'",
    "read": "a folder to its first step, over reading it",
}
LARGE_FILE = 2_000_000_000
LISTED, LIST_GOAL = 20, 300.0
"""Files, and milliseconds of CPU for so many."""

RECIPE = Recipe(
    prompt="a red circle",
    negative="",
    steps=1,
    seed=1,
    width=64,
    height=64,
    cfg_scale=1.0,
    sampler="ddim",
    model="",
)

_PEAK = """
import re, sys; from pathlib import Path
from dream.catalogue import ModelRegistry; from dream.engine import create_generator
status = lambda key: int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
painter = create_generator(ModelRegistry([Path(sys.argv[1])]).get_model)
before = status("VmRSS"); painter.load(sys.argv[2], print); print(status("VmHWM") - before)
"""

_LIST = """
import sys, time; from pathlib import Path
from dream.catalogue import ModelRegistry
import dream.catalogue.complete_model, dream.catalogue.detect.require  # as the prompt has them
registry = ModelRegistry([Path(sys.argv[1])])
for _ in range(2):
    began = time.process_time()
    registry.list_models(), registry.check_models()
    print(time.process_time() - began)
"""


def load(
    registry: ModelRegistry, model: str, plainly: Callable[[], Any], rounds: int
) -> list[Comparison]:
    """From the page cache to where the first step begins, by the house: over diffusers, and over
    no more than reading the bytes."""
    generator = create_generator(registry.get_model)
    files = list(registry.get_model(model).path.glob("*/*.safetensors"))
    weights = estimate_memory(registry.get_model(model), "auto", "auto").weights

    def to_first_step() -> None:
        with _stopping_at(generator.load(model, lambda reported: None).pipe):
            generator.generate(replace(RECIPE, model=model), lambda reported: None)

    def plainly_to_first_step() -> None:
        with _stopping_at(pipe := plainly()):
            pipe(RECIPE.prompt, num_inference_steps=1, width=RECIPE.width, height=RECIPE.height)

    def ours() -> float:
        _wake(weights)
        try:
            return seconds(to_first_step)
        finally:
            # Weights are hashed behind the first picture; not behind the other side's loading.
            generator.load(model, lambda reported: None).digest.result()
            generator.unload()

    def plain() -> float:
        _wake(weights)
        try:
            return seconds(plainly_to_first_step)
        finally:
            free_memory()

    found = [compare(NAMES[model], ours, plain, rounds, LOAD_GOAL)]
    if files:
        found.append(compare(NAMES["read"], ours, lambda: seconds(lambda: _read(files)), rounds, 0))
    return found


def _wake(size: int) -> None:
    """Touch as much memory. The host of a virtual machine takes back what nobody used for seconds,
    and who touches it first waits for the host, up to three seconds here: neither side shall."""
    torch.ones(size, dtype=torch.uint8)


def _read(files: Sequence[Path]) -> None:
    buffer = bytearray(2**24)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


@contextmanager
def _stopping_at(pipe: Any) -> Iterator[None]:
    """The first step, where the denoiser is called."""

    def stop(*called: object) -> None:
        raise GenerationCancelled

    pipe.set_progress_bar_config(disable=True)
    pipe.unet.register_forward_pre_hook(stop)
    with suppress(GenerationCancelled):
        yield


def peak(registry: ModelRegistry, model: str) -> str:
    """Most memory while a process of its own loads the model, over the weights."""
    argv = [sys.executable, "-c", _PEAK, str(registry.models_dirs[0]), model]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    most = int(done.stdout.split()[-1]) * 1024
    weights = estimate_memory(registry.get_model(model), "auto", "auto").weights
    verdict = "ok" if most <= MEMORY_GOAL * weights + OVERHEAD else "NOT MET"
    took = f"{most / 2**30:.2f} GiB; weights {weights / 2**30:.2f}"
    return f"peak while loading {model}: {took}  {verdict}"


def switch(registry: ModelRegistry, one: str, other: str, rounds: int) -> str:
    """From asking for a picture to its first step, by a model in memory: another one than the last
    picture's, less the same one."""
    engine = WorkerEngine(registry)

    def to_first_step(model: str) -> float:
        began = time.perf_counter()
        found = 0.0
        for event in engine.render(replace(RECIPE, model=model)):
            if isinstance(event, Progress):
                found = time.perf_counter() - began
        return found

    try:
        for model in (one, other, one, other):
            to_first_step(model)
        pairs = [
            (to_first_step(model), to_first_step(model))
            for _ in range(rounds)
            for model in (one, other)
        ]
    finally:
        engine.close()
    switched, stayed = (statistics.median(times) for times in zip(*pairs, strict=True))
    took = 1000 * (switched - stayed)
    return f"switching costs {took:.1f} ms  {'ok' if took <= SWITCH_GOAL else 'NOT MET'}"


def recognised(folder: Path, rounds: int) -> str:
    """A file of 2 GB: its header is real, the weights are a hole."""
    path = folder / "large.safetensors"
    names = [f"model.diffusion_model.input_blocks.{n}.weight" for n in range(1000)]
    each = LARGE_FILE // 2 // len(names)
    places = [[2 * each * n, 2 * each * (n + 1)] for n in range(len(names))]
    rows = [{"dtype": "F16", "shape": [each], "data_offsets": place} for place in places]
    header = json.dumps(dict(zip(names, rows, strict=True))).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 2 * each * len(names))
    took = 1000 * statistics.median(_seconds(lambda: classify(read_header(path)), 10 * rounds))
    path.unlink()
    verdict = "ok" if took <= RECOGNISE_GOAL else "NOT MET"
    return f"recognising 2 GB takes {took:.1f} ms  {verdict}"


def listed(folder: Path, rounds: int) -> str:
    """A folder of ComfyUI's with the files that people run, at full depth: listed by a process that
    has read none of their headers."""
    files = [path for path in write_comfyui_tree(folder / "ComfyUI", tensors=1200) if path.exists()]
    argv = [sys.executable, "-c", _LIST, str(folder / "ComfyUI")]
    runs = [subprocess.run(argv, capture_output=True, text=True, check=True) for _ in range(rounds)]
    cold, again = (
        1000 * statistics.median(times)
        for times in zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    )
    verdict = "ok" if cold * LISTED / len(files) <= LIST_GOAL else "NOT MET"
    return (
        f"listing {len(files)} files takes {cold:.0f} ms of CPU, the second time {again:.0f} ms"
        f"  {verdict}"
    )


def _seconds(work: Callable[[], object], times: int) -> list[float]:
    return [seconds(work) for _ in range(times)]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a small one: does it run?")
    parser.add_argument("--model", type=Path, help="a Stable Diffusion 1.5 that is there already")
    arguments = parser.parse_args()
    disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    gc.freeze()  # as the worker does
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if arguments.small:
            make_layout("sd1").save_pretrained(folder / "one")
        elif arguments.model:
            (folder / "one").symlink_to(arguments.model.absolute())
        else:
            make_random_sd15(folder / "one")
        (folder / "other").symlink_to(folder / "one")
        registry = ModelRegistry([folder])
        dtype = estimate_memory(registry.get_model("one"), "auto", "auto").placement.dtype
        file = _as_file(folder / "one", folder / "file.safetensors")

        def from_folder() -> Any:
            return StableDiffusionPipeline.from_pretrained(folder / "one", dtype=dtype)

        def from_file() -> Any:
            return StableDiffusionPipeline.from_single_file(
                file, config=str(folder / "one"), dtype=dtype, local_files_only=True
            )

        print(HEAD)
        for model, plainly in (("one", from_folder), ("file", from_file)):
            for row in load(registry, model, plainly, arguments.rounds):
                print(row, flush=True)
        for model in ("one", "file"):
            print(peak(registry, model), flush=True)
        print(switch(registry, "one", "other", arguments.rounds), flush=True)
        print(recognised(folder, arguments.rounds))
        print(listed(folder, arguments.rounds))


def _as_file(folder: Path, path: Path) -> Path:
    """The model in CompVis' layout, in the number type it has."""
    dtype = next(iter(load_file(next((folder / "unet").glob("*.safetensors"))).values())).dtype
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype)
    return single_files.save(single_files.original(pipe), path)


if __name__ == "__main__":
    main()
