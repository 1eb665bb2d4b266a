"""What engines, --cache and few steps save: images in turn (A B A B …), medians over torch's.

    python -m benchmarks.engines [--full [--folder FOLDER] | --model FOLDER] [--works NAME ...]
        [--precision NAME] [--rounds N] [--starts N] [--steps N] [--side N] [--cpu-time]
        [--prompts N]

The shipped model by default; --full takes a random Stable Diffusion 1.5 of full size, with a random
TAESD, both made anew or kept in FOLDER. The first image of each kind is not in the medians: its
time, with conversion or compilation, is a column of its own. All images of a kind have the same
pixels, or it is said; their greatest difference from torch's is a column. The last rows are new
worker processes, --starts of each, to the end of their first step, with what the engine kept.
stable-diffusion.cpp is measured, with the same weights and steps, where its Python package
stable-diffusion-cpp-python is installed. --cpu-time counts the process's time on the processor,
busy waiting of its threads included. With --prompts, the included model is judged by what its
images show, as by `benchmarks.caches`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.caches import measure as measure_meaning
from benchmarks.random_sd15 import make_random_sd15
from benchmarks.tasks import recipe_of
from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.catalogue.taesd import require_decoder_file
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, Progress
from dream.engine.memory.device import describe_processor
from dream.options.engine_table import COMPILE, ENGINES, OPENVINO, SMALL_DECODER, TORCH
from dream.worker import open_engine

_FEW: Mapping[str, Any] = {"steps": 4, "cfg_scale": 1.0, "decoder": SMALL_DECODER}
WORKS: Mapping[str, Mapping[str, Any]] = {
    TORCH: {"engine": TORCH},
    OPENVINO: {"engine": OPENVINO},
    COMPILE: {"engine": COMPILE},
    "cache-3": {"engine": TORCH, "cache": 3},
    "cache-3-openvino": {"engine": OPENVINO, "cache": 3},
    "few-steps": {"engine": TORCH, **_FEW},
    "few-steps-openvino": {"engine": OPENVINO, **_FEW},
}
"""What changes in the recipe of an image. Few steps are those of a distilled model: 4, no
guidance, the small decoder."""
SDCPP = {"sd.cpp-f16": "f16", "sd.cpp-q8_0": "q8_0"}


@dataclass
class Times:
    """Seconds of one kind of image, one for each round."""

    image: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)
    """From the last step to the image: decoding."""

    def add(self, other: Times) -> None:
        """Those of one more image."""
        self.image += other.image
        self.step += other.step
        self.end += other.end


Work = Callable[[], tuple[Picture | None, Times]]


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="a random SD 1.5 of full size")
    parser.add_argument("--folder", type=Path, help="where --full keeps its model")
    parser.add_argument("--model", type=Path, help="a folder in diffusers layout")
    parser.add_argument("--works", nargs="+", choices=[*WORKS, *SDCPP], default=[*WORKS, *SDCPP])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=3, help="new processes of each engine")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--cpu-time", action="store_true", help="not the time that passes")
    parser.add_argument("--prompts", type=int, help="judge so many images of the included model")
    return parser.parse_args()


def get_clock(options: argparse.Namespace) -> Callable[[], float]:
    """What counts seconds."""
    return time.process_time if options.cpu_time else time.perf_counter


def open_generator(folder: Path, precision: str) -> ImageGenerator:
    """An image generator for the model in that folder."""
    folders = [folder.parent]
    return create_generator(
        ModelRegistry(folders).get_model,
        DeviceConfig(precision=precision),
        require_decoder=lambda info: require_decoder_file(info, folders),
    )


def render(
    generator: ImageGenerator, model: str, work: str, options: argparse.Namespace
) -> tuple[Picture | None, Times]:
    """One image, and what it took."""
    clock = get_clock(options)
    marks = [clock()]

    def report(event: Progress | Note | Loading) -> None:
        if isinstance(event, Progress):
            marks.append(clock())
        elif isinstance(event, Note):
            print(f"  {work}: {event.text}", flush=True)

    recipe = replace(recipe_of(model, options.side, options.steps, None), **WORKS[work])
    picture = generator.generate(recipe, report)
    return picture, read_marks([*marks, clock()])


def read_marks(marks: Sequence[float]) -> Times:
    """From when an image began, each of its steps ended, and the image was there."""
    steps = [after - before for before, after in itertools.pairwise(marks[1:-1])]
    step = statistics.mean(steps) if steps else float("nan")
    return Times([marks[-1] - marks[0]], [step], [marks[-1] - marks[-2]])


def list_works(folder: Path, place: Path, options: argparse.Namespace) -> dict[str, Work]:
    """What can be measured here, by name; what cannot is said."""
    generator = open_generator(folder, options.precision)
    pipe = generator.load(folder.name, lambda _: None).pipe
    works: dict[str, Work] = {}
    for name in dict.fromkeys([TORCH, *options.works]):
        if name in SDCPP:
            if work := open_sdcpp(pipe, place, SDCPP[name], options):
                works[name] = work
        elif missing := ENGINES[WORKS[name]["engine"]].find_missing():
            print(f"{name}: skipped, it needs {missing}")
        elif WORKS[name].get("decoder") and not (place / "taesd").is_dir():
            print(f"{name}: skipped, there is no small decoder for this model")
        else:
            works[name] = partial(render, generator, folder.name, name, options)
    return works


def open_sdcpp(pipe: Any, place: Path, kind: str, options: argparse.Namespace) -> Work | None:
    """stable-diffusion.cpp with the pipeline's weights; None, which is said, without it."""
    if find_spec("stable_diffusion_cpp") is None:
        print(f"sd.cpp {kind}: skipped, stable-diffusion-cpp-python is not installed")
        return None
    from tests.single_files import original, save

    file = place / "sdcpp.safetensors"
    if not file.exists():
        save({name: tensor.half() for name, tensor in original(pipe).items()}, file)
    network = import_module("stable_diffusion_cpp").StableDiffusion(
        model_path=str(file), wtype=kind, n_threads=torch.get_num_threads(), verbose=False
    )

    clock = get_clock(options)

    def run() -> tuple[None, Times]:
        marks = [clock()]
        network.generate_image(
            prompt="a red circle on blue",
            width=options.side,
            height=options.side,
            sample_steps=options.steps,
            cfg_scale=5.0,
            sample_method="euler",
            seed=1,
            progress_callback=lambda *_: marks.append(clock()),
        )
        return None, read_marks([*marks, clock()])

    return run


def measure(works: Mapping[str, Work], rounds: int) -> None:
    """Print the table: medians, in seconds."""
    works[TORCH]()  # loads what is loaded on first use
    first = {name: work() for name, work in works.items()}
    times = {name: Times() for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            picture, took = work()
            times[name].add(took)
            if picture is not None and picture.sha256 != get_sha256(first[name][0]):
                print(f"{name}: these pixels are not those of the first image")
    plain, torchs = first[TORCH][0], times[TORCH]
    head = ("image", "over torch", "step", "over torch", "end", "first", "pixels", "sha256")
    print(f"{'medians, seconds':<26}" + "".join(f"{title:>11}" for title in head))
    for name in works:
        mine, (picture, took) = times[name], first[name]
        values = [
            statistics.median(mine.image),
            statistics.median(mine.image) / statistics.median(torchs.image),
            statistics.median(mine.step),
            statistics.median(mine.step) / statistics.median(torchs.step),
            statistics.median(mine.end),
            took.image[0],
        ]
        numbers = "".join(f"{value:11.3f}" for value in values)
        same = f"{find_most(picture, plain):>11}{get_sha256(picture)[:8]:>11}"
        print(f"{name:<26}{numbers}{same}", flush=True)
        if picture is not None and picture.recipe.engine != WORKS[name]["engine"]:
            print(f"  {name}: this was rendered by {picture.recipe.engine}")


def get_sha256(picture: Picture | None) -> str:
    """Of its pixels, to compare with another process's; empty where dream made none."""
    return "" if picture is None else picture.sha256


def find_most(picture: Picture | None, plain: Picture | None) -> str:
    """The greatest difference of two images of the same recipe, but for the engine."""
    if picture is None or plain is None:
        return ""
    if replace(picture.recipe, engine=TORCH) != replace(plain.recipe, engine=TORCH):
        return ""
    pixels = [np.asarray(one.image).astype(int) for one in (picture, plain)]
    return f"{abs(pixels[0] - pixels[1]).max()}/255"


def measure_first_steps(folder: Path, options: argparse.Namespace) -> None:
    """Print what a new worker process needs until its first step is done."""
    engines = [name for name in ENGINES if name in {TORCH, *options.works}]
    engines = [name for name in engines if not ENGINES[name].find_missing()]
    took: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(options.starts):
        for name in engines:
            took[name].append(measure_first_step(folder, name, options))
    for name, values in took.items():
        ratio = statistics.median(values) / statistics.median(took[TORCH])
        title = f"first step, {name}"
        print(f"{title:<26}{statistics.median(values):11.3f}{ratio:11.3f}", flush=True)


def measure_first_step(folder: Path, name: str, options: argparse.Namespace) -> float:
    """Seconds from the start of a worker, as for the first line of a session, to the end of its
    first step: with all imports."""
    registry = ModelRegistry([folder.parent])
    model = registry.get_model(folder.name)
    recipe = replace(recipe_of(model.name, options.side, 2, None), engine=name)
    engine = open_engine(registry, DeviceConfig(precision=options.precision))
    others = set(psutil.Process().children())
    began = time.perf_counter()
    try:
        with closing(engine.render(recipe)) as events:
            next(event for event in events if isinstance(event, Progress))
            passed = time.perf_counter() - began
            if not options.cpu_time:
                return passed
            (worker,) = set(psutil.Process().children()) - others
            used = worker.cpu_times()
            return float(used.user + used.system)
    finally:
        engine.close()


def prepare_model(place: Path, options: argparse.Namespace) -> Path:
    """The folder of the model that is measured."""
    if options.model:
        return Path(options.model)
    if not options.full:
        return get_shipped_models_dir() / "tiny"
    from diffusers import AutoencoderTiny

    folder = place / "random-sd15"
    if not (folder / "model_index.json").exists():  # which is written last
        AutoencoderTiny().save_pretrained(place / "taesd")
        make_random_sd15(folder)
    return folder


def main() -> None:
    """Print the table."""
    options = parse_arguments()
    print(
        f"{describe_processor('cpu')}, {torch.get_num_threads()} threads,"
        f" precision {options.precision}, {options.steps} steps, {options.side} pixels,"
        f" {'CPU time' if options.cpu_time else 'time that passed'}",
        flush=True,
    )
    with ExitStack() as undo:
        place = options.folder or Path(undo.enter_context(tempfile.TemporaryDirectory()))
        folder = prepare_model(place, options)
        measure(list_works(folder, place, options), options.rounds)
        if options.starts:
            measure_first_steps(folder, options)
    if options.prompts:
        engines = [name for name in ENGINES if not ENGINES[name].find_missing()]
        chosen = {name: {"engine": name} for name in engines if name in {TORCH, *options.works}}
        for line in measure_meaning(options.prompts, chosen, "--engine"):
            print(line, flush=True)


if __name__ == "__main__":
    main()
