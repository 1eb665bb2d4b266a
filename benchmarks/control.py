"""A ControlNet on Stable Diffusion 1.5: a step with it, and switching to another one in memory.

    python -m benchmarks.control [--rounds N] [--steps N] [--side N] [--precision NAME]
        [--cpu-time] [--half | --small | --model FOLDER]

A step is compared with one of diffusers' StableDiffusionControlNetPipeline with the same weights:
the median of all steps but the first. Each has a process of its own, in turn: in one process they
share a heap, in which oneDNN's reordered weights are allocated anew with every call, and a step
takes up to a quarter more or less, depending on what the other left there. Switching is what the
engine does before an image whose control model is another one than the last image's; all of it is
also seen from outside, by images that take turns between both. Model and control models are random
ones of full size; --half halves the UNet's channels; --small takes the shipped model, and shows
only that everything runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, DDIMScheduler, StableDiffusionControlNetPipeline
from diffusers.utils.logging import disable_progress_bar, set_verbosity_error
from PIL import Image, ImageDraw

from benchmarks.abab import HEAD, Comparison, compare, seconds
from benchmarks.random_sd15 import FULL, HALF, make_random_sd15
from benchmarks.tasks import recipe_of
from dream.catalogue import ModelRegistry
from dream.catalogue.control_files import get_control
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.control.active_control import ActiveControl, ControlImage
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, Progress
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory.device import describe_processor
from dream.engine.sampling.noise import make_generator
from dream.options.control import Control

STEP_GOAL, SWITCH_GOAL = 1.02, 0.050
NETS = ("edges", "depths")
WEIGHT = 0.8


def write_controlnet(unet: Any, folder: Path, seed: int) -> None:
    """A ControlNet of the shape of a UNet, no weight of it zero, float16."""
    net = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, 0.02, generator=rng)
    net.to(torch.float16).save_pretrained(folder)


def draw_lines(side: int, path: Path) -> Path:
    """A control image: white lines on black."""
    image = Image.new("RGB", (side, side))
    ImageDraw.Draw(image).ellipse((side // 8, side // 8, side - side // 8, side // 2), None, "#fff")
    image.save(path)
    return path


def use_net(recipe: Recipe, picture: Path, *nets: str) -> Recipe:
    """The recipe with one control image for each of these control models."""
    controls = tuple(Control("canny", str(picture), WEIGHT) for _ in nets)
    return replace(recipe, control=controls, control_model=nets, control_raw=True)


Clock = Callable[[], float]


class Ends:
    """When each step ended."""

    def __init__(self, device: str, clock: Clock) -> None:
        self._device, self._clock, self._ends = device, clock, list[float]()

    def add(self) -> None:
        """A step has ended."""
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
        self._ends.append(self._clock())

    def get_step(self) -> float:
        """Seconds of a step: the median, without the first, which may compile and allocate."""
        return statistics.median(end - begin for begin, end in pairwise(self._ends))


def run_ours(generator: ImageGenerator, recipe: Recipe, start: Callable[[], Ends]) -> float:
    """Seconds of a step of ours."""
    ends = start()

    def report(event: object) -> None:
        if isinstance(event, Progress):
            ends.add()

    generator.generate(recipe, report)
    return ends.get_step()


def run_theirs(pipe: Any, recipe: Recipe, image: Image.Image, start: Callable[[], Ends]) -> float:
    """Seconds of a step of diffusers' pipeline."""
    ends = start()

    def end_step(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        ends.add()
        return tensors

    single = len(recipe.control or ()) == 1
    pipe(
        recipe.prompt,
        image=image if single else [image] * len(NETS),
        controlnet_conditioning_scale=WEIGHT if single else [WEIGHT] * len(NETS),
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.cfg_scale,
        generator=make_generator(recipe.seed),
        callback_on_step_end=end_step,
        width=recipe.width,
        height=recipe.height,
    )
    return ends.get_step()


@dataclass(frozen=True)
class Setting:
    """What both arms render, and with what."""

    folder: Path
    """The models folder: the model `one`, and its control models."""
    picture: Path
    side: int
    steps: int
    precision: str
    cpu_time: bool

    @property
    def recipe(self) -> Recipe:
        """Of an image without control."""
        return recipe_of("one", self.side, self.steps, None)

    def open(self) -> tuple[ImageGenerator, LoadedModel]:
        """An engine with the model in memory."""
        registry = ModelRegistry([self.folder])
        generator = create_generator(
            registry.get_model,
            DeviceConfig(precision=self.precision),
            find_control=lambda name: get_control(name, [self.folder]),
        )
        return generator, generator.load("one", lambda event: None)


def serve_arm(setting: Setting, ours: bool, channel: Connection) -> None:
    """A process: answers a number of control models with the seconds of a step, until it gets 0."""
    disable_progress_bar()
    set_verbosity_error()
    generator, loaded = setting.open()
    clock = time.process_time if setting.cpu_time else time.perf_counter
    start = partial(Ends, loaded.placement.device, clock)
    with Image.open(setting.picture) as opened:
        image = opened.convert("RGB")
    while count := channel.recv():
        recipe = use_net(setting.recipe, setting.picture, *NETS[:count])
        if ours:
            channel.send(run_ours(generator, recipe, start))
        else:
            pipe = make_their_pipeline(generator, loaded, recipe)
            channel.send(run_theirs(pipe, recipe, image, start))


def make_their_pipeline(generator: ImageGenerator, loaded: LoadedModel, recipe: Recipe) -> Any:
    """diffusers' pipeline, with the weights as they are loaded here."""
    models = [active.loaded.model for active in load_controls(generator, loaded, recipe)]
    pipe = StableDiffusionControlNetPipeline.from_pipe(
        loaded.pipe,
        controlnet=models if len(models) > 1 else models[0],
        dtype=loaded.placement.dtype,
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = DDIMScheduler.from_config(loaded.pipe.scheduler.config)
    return pipe


@contextmanager
def open_arm(setting: Setting, *, ours: bool) -> Iterator[Callable[[int], float]]:
    """Seconds of a step with so many control models, in a process of its own."""
    spawn = get_context("spawn")
    channel, other = spawn.Pipe()
    process = spawn.Process(target=serve_arm, args=(setting, ours, other), daemon=True)
    process.start()
    other.close()

    def ask(count: int) -> float:
        channel.send(count)
        return float(channel.recv())

    yield ask
    channel.send(0)
    process.join()


def time_steps(setting: Setting, rounds: int) -> Iterator[Comparison]:
    """A step with one control model, and with two, over diffusers."""
    with open_arm(setting, ours=True) as ours, open_arm(setting, ours=False) as theirs:
        for count in range(1, len(NETS) + 1):
            yield compare(
                f"a step with {count} of them, over diffusers",
                partial(ours, count),
                partial(theirs, count),
                rounds,
                STEP_GOAL,
            )


def load_controls(
    generator: ImageGenerator, loaded: LoadedModel, recipe: Recipe
) -> Sequence[ActiveControl]:
    """What the engine does before the first step."""
    images = [ControlImage(Image.new("RGB", (8, 8)), "")] * len(recipe.control or ())
    return generator.controls.load(
        recipe, loaded, images, lambda event: None, lambda control, image, size: image
    )


def time_switching(
    generator: ImageGenerator, loaded: LoadedModel, recipe: Recipe, picture: Path, rounds: int
) -> Iterator[str]:
    """Seconds before an image whose control model is another one than the last image's; and what
    images take longer that take turns."""
    one, other = (use_net(recipe, picture, net) for net in NETS)
    pair = [partial(load_controls, generator, loaded, controlled) for controlled in (one, other)]
    for load in pair:
        load()  # now both are in memory
    times = [seconds(load) for _ in range(rounds) for load in pair]
    middle = statistics.median(times)
    verdict = "ok" if middle <= SWITCH_GOAL else "NOT MET"
    yield (
        f"switching to one in memory: {1000 * middle:.1f} ms, at most {1000 * max(times):.1f};"
        f" {1000 * SWITCH_GOAL:.0f} {verdict}"
    )

    def make(recipe: Recipe, after: Recipe) -> float:
        generator.generate(after, lambda event: None)
        return seconds(lambda: generator.generate(recipe, lambda event: None))

    turns = compare("", lambda: make(one, other), lambda: make(one, one), rounds, 0)
    more = statistics.median(turns.ours) - statistics.median(turns.plain)
    plain = statistics.median(turns.plain)
    yield f"images that take turns, over those with one: {1000 * more:+.1f} ms, of {plain:.3f} s"


def measure(
    folder: Path, options: argparse.Namespace, side: int, report: Callable[[object], None]
) -> None:
    """Measure the model in folder/one, and report each row."""
    picture = draw_lines(side, folder / "lines.png")
    setting = Setting(folder, picture, side, options.steps, options.precision, options.cpu_time)
    generator, loaded = setting.open()
    for seed, net in enumerate(NETS):
        write_controlnet(loaded.pipe.unet, folder / "controlnet" / net, seed)
    count = sum(weight.numel() for weight in loaded.pipe.unet.parameters())
    report(
        f"{describe_processor(loaded.placement.device)}, {torch.get_num_threads()} threads,"
        f" {loaded.placement.precision}, UNet of {count / 1e6:.0f} million parameters,"
        f" {options.steps} steps, {side} pixels, {options.rounds} rounds,"
        f" {'CPU time' if options.cpu_time else 'time that passed'}"
    )
    single = replace(setting.recipe, steps=1)
    for line in time_switching(generator, loaded, single, picture, options.rounds):
        report(line)
    generator.unload()  # the others need the memory
    del generator, loaded
    report(HEAD)
    for row in time_steps(setting, options.rounds):
        report(row)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--side", type=int, help="pixels; else 256, and 128 for --small")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--cpu-time", action="store_true", help="not the time that passes")
    parser.add_argument("--half", action="store_true", help="a UNet of half the channels")
    parser.add_argument("--small", action="store_true", help="the shipped model: does it run?")
    parser.add_argument("--model", type=Path, help="a Stable Diffusion 1.5 that is there already")
    arguments = parser.parse_args()
    disable_progress_bar()
    set_verbosity_error()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if arguments.small or arguments.model:
            shipped = get_shipped_models_dir() / "tiny"
            (folder / "one").symlink_to(shipped if arguments.small else arguments.model.absolute())
        else:
            make_random_sd15(folder / "one", channels=HALF if arguments.half else FULL)
        side = arguments.side or (128 if arguments.small else 256)
        measure(folder, arguments, side, lambda row: print(row, flush=True))


if __name__ == "__main__":
    main()
