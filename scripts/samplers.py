"""Measures every sampler: the table of docs/samplers.md, and images of the shipped model.

python -m scripts.samplers                    write the table, with the exact denoiser of the tests
python -m scripts.samplers images [N [NAME …]]
                                              N images of each from a prompt, and N from an image
python -m scripts.samplers former             the lines of tests/former again, bit for bit
python -m scripts.samplers former --write     their images anew, after the shipped weights were
                                              exchanged: first with the former weights without it
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling.schedulers import make_scheduler
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import TaskInputs
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import SCHEDULES
from tests.engine.gaussian import CONFIGS, SPREAD, draws, exact, run_scheduler
from training.image_analysis import analyze

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "samplers.md"
STEPS = (10, 20, 50)
SIDE = 256

OTHER_NAMES = {
    "ddim": ("DDIM", "ddim", "DDIMScheduler"),
    "plms": ("PLMS", "–", "PNDMScheduler"),
    "k_lms": ("LMS", "lms", "LMSDiscreteScheduler"),
    "k_euler": ("Euler", "euler", "EulerDiscreteScheduler"),
    "k_euler_a": ("Euler a", "euler_ancestral", "EulerAncestralDiscreteScheduler"),
    "k_heun": ("Heun", "heun", "HeunDiscreteScheduler"),
    "k_dpm_2": ("DPM2", "dpm_2", "KDPM2DiscreteScheduler"),
    "k_dpm_2_a": ("DPM2 a", "dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"),
    "k_dpmpp_2": ("DPM++ 2M", "dpmpp_2m", "DPMSolverMultistepScheduler"),
    "k_dpmpp_2_a": ("DPM++ 2S a", "dpmpp_2s_ancestral", "–"),
    "dpmpp_2m": ("DPM++ 2M", "dpmpp_2m", "DPMSolverMultistepScheduler"),
    "dpmpp_2m_karras": ("DPM++ 2M Karras", "dpmpp_2m, karras", "… use_karras_sigmas"),
    "dpmpp_sde": ("DPM++ SDE", "dpmpp_sde", "DPMSolverSDEScheduler"),
    "dpmpp_2m_sde": ("DPM++ 2M SDE", "dpmpp_2m_sde", "… algorithm_type sde-dpmsolver++"),
    "unipc": ("UniPC", "uni_pc_bh2", "UniPCMultistepScheduler"),
    "deis": ("–", "deis", "DEISMultistepScheduler"),
    "lcm": ("LCM", "lcm", "LCMScheduler"),
    "ddpm": ("–", "ddpm", "DDPMScheduler"),
    "dpmpp_3m_sde": ("DPM++ 3M SDE", "dpmpp_3m_sde", "… solver_order 3"),
    "dpm_fast": ("DPM fast", "dpm_fast", "–"),
    "dpm_adaptive": ("DPM adaptive", "dpm_adaptive", "–"),
    "k_euler_churn": ("Euler, sigma churn", "euler, s_churn", "EulerDiscreteScheduler, s_churn"),
    "k_heun_churn": ("Heun, sigma churn", "heun, s_churn", "HeunDiscreteScheduler, s_churn"),
    "restart": ("Restart", "–", "–"),
    "res_multistep": ("–", "res_multistep", "–"),
    "er_sde": ("–", "er_sde", "–"),
    "tcd": ("–", "–", "TCDScheduler"),
}
"""Their names in AUTOMATIC1111's web UI, ComfyUI and diffusers."""


# ── the table ──────────────────────────────────────────────────────────────────────────────────


def measure_error(name: str, steps: int) -> tuple[float, int]:
    """The error in standard deviations, mean of the six Gaussians; and the calls. For a sampler
    without noise it is the distance from the exact solution, for one with noise that of the spread
    from the data's."""
    with silence_libraries():
        scheduler = make_scheduler(name, CONFIGS["v"], steps, torch.float32)
    run = run_scheduler(scheduler, CONFIGS["v"], steps, draws(1, 4000))
    if SAMPLERS[name].adds_noise:
        spread = run.x.std(-1, keepdim=True) / SPREAD
        return float((spread - 1).abs().mean()), run.calls
    solution = exact(run.start, run.sigmas[0])
    return float(((run.x - solution) / SPREAD).pow(2).mean(-1).sqrt().mean()), run.calls


def table() -> Iterator[str]:
    yield "| sampler | calls | order | error at 10 | 20 | 50 steps | A1111 | ComfyUI | diffusers |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, row in SAMPLERS.items():
        measured = [measure_error(name, steps) for steps in STEPS]
        errors = " | ".join(f"{error:.3f}" for error, _ in measured)
        calls = f"{measured[0][1]} here" if row.adaptive else row.calls
        others = " | ".join(OTHER_NAMES[name])
        yield f"| `{name}` | {calls} | {row.order} | {errors} | {others} |"


def page(images: str) -> str:
    schedules = "\n".join(f"| `{name}` | {what} |" for name, what in SCHEDULES.items())
    papers = "\n".join(f"| `{name}` | {row.paper} |" for name, row in SAMPLERS.items())
    rows = "\n".join(table())
    return f"""# Samplers

Written by `python -m scripts.samplers`. `-A NAME` chooses a sampler, `--schedule NAME` its noise
levels.

The errors were measured with an exact denoiser of six Gaussians, with variances from 0.01 to 4, on
Stable Diffusion's noise and with the sampler's default schedule, in standard deviations of the
data. For a sampler without noise the error is the distance of its latents from the exact solution,
for one with noise that of their spread from the data's. Calls are those of the network for n steps;
the order is as measured.

{rows}

`dpm_adaptive` chooses its steps itself, so `-s` changes neither its image nor its time; it only
sets how finely progress is reported, and where an image-to-image run begins. `plms` is of third
order from an image: the fourth leaves coloured stains there at 20 steps.

## Schedules

| schedule | what it is |
|---|---|
{schedules}

Flow-matching models (Stable Diffusion 3, Flux …) have a list of their own, which is the default
with every sampler. `--schedule` chooses other sigmas from those of their training, with their
shift, as ComfyUI does; `align_your_steps` is not supported there. A sampler's default schedule is
not used with them: for Karras' list use `-A dpmpp_2m --schedule karras`, not `dpmpp_2m_karras`.

{IMAGES}
{images}## Papers

| sampler | paper |
|---|---|
{papers}
"""


IMAGES = "## Images of the shipped model\n"


def write_page() -> None:
    """The page, with the table of images that is in it already: that one takes an hour."""
    before = PAGE.read_text("utf-8")
    _, _, rest = before.partition(IMAGES + "\n")
    PAGE.write_text(page(rest.partition("## Papers")[0]), encoding="utf-8")


# ── images ─────────────────────────────────────────────────────────────────────────────────────

COLOURS = ("red", "yellow", "green", "blue", "black", "white")
KINDS = ("circle", "star", "heart", "square")


def list_prompts(count: int) -> list[tuple[str, str, str]]:
    """Colour, shape and background, from all pairs of colours evenly."""
    pairs = [pair for pair in product(COLOURS, COLOURS) if pair[0] != pair[1]]
    return [
        (pairs[n * 7 % len(pairs)][0], KINDS[n % len(KINDS)], pairs[n * 7 % len(pairs)][1])
        for n in range(count)
    ]


def measure_grain(image: Image.Image) -> float:
    """Mean difference of neighbouring pixels, of 255."""
    return float(np.abs(np.diff(np.asarray(image, np.float32), axis=1)).mean())


def make_input_image() -> Image.Image:
    """An orange square on grey: nothing that the prompts name."""
    image = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    image.paste((220, 150, 60), (64, 64, 192, 192))
    return image


def measure_images(
    generator: ImageGenerator, name: str, count: int, start: Image.Image | None
) -> tuple[int, float]:
    """How many of `count` images have the colours of their prompt; and their mean grain."""
    right, grains = 0, list[float]()
    for number, (colour, kind, background) in enumerate(list_prompts(count)):
        recipe = Recipe(
            prompt=f"a {colour} {kind} on a {background} background",
            negative="",
            steps=20,
            seed=900 + number,
            width=SIDE,
            height=SIDE,
            cfg_scale=3.0,
            sampler=name,
            model="tiny",
            strength=None if start is None else 0.8,
        )
        image = generator.generate(recipe, lambda event: None, TaskInputs(image=start)).image
        found = analyze(image)
        right += found.background == background and found.regions[0].colour == colour
        grains.append(measure_grain(image))
    return right, float(np.mean(grains))


def print_images(count: int, names: Sequence[str]) -> None:
    """The table of images, as it is in docs/samplers.md; grain beside that of k_heun."""
    generator = create_generator(ModelRegistry([ROOT / "models"]).get_model)
    starts = (None, make_input_image())
    heun = [measure_images(generator, "k_heun", count, start)[1] for start in starts]
    print("| sampler | from a prompt | grain | from an image, `-f0.8` | grain |")
    print("|---|---|---|---|---|")
    for name in names or SAMPLERS:
        cells = list[str]()
        for start, grain_of_heun in zip(starts, heun, strict=True):
            right, grain = measure_images(generator, name, count, start)
            cells += [f"{right}/{count}", f"{grain / grain_of_heun - 1:+.1%}"]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def check_former(write: bool = False) -> None:
    """Render the lines of tests/former again, and count those that are the same to the bit; with
    `write`, keep what was rendered."""
    from dream.core.request import Request
    from dream.line import parse_line
    from dream.session.replay_checks import get_line_defaults
    from dream.session.resolve import resolve

    root = ROOT / "tests" / "former"
    registry = ModelRegistry([ROOT / "models"])
    generator = create_generator(registry.get_model)
    sheet = np.array(Image.open(root / "pictures.png").convert("RGB"))
    lines = (root / "lines.txt").read_text("utf-8").splitlines()
    same = 0
    for number, line in enumerate(lines):
        request = parse_line(line, get_line_defaults(line, Request(), Path))
        (recipe,) = resolve(
            request, lambda name: registry.get_model(name or "tiny"), (), lambda: 1
        ).recipes
        row, column = divmod(number, 8)
        place = slice(row * 64, row * 64 + 64), slice(column * 64, column * 64 + 64)
        made = np.asarray(generator.generate(recipe, lambda event: None).image)
        equal = bool((made == sheet[place]).all())
        sheet[place] = made
        same += equal
        if not equal:
            print(f"differs: {line}", flush=True)
    print(f"{same} of {len(lines)} are the same, bit for bit")
    if write:
        Image.fromarray(sheet).save(root / "pictures.png", optimize=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["images", *more]:
            print_images(int(more[0]) if more else 20, more[1:])
        case ["former", *more]:
            check_former("--write" in more)
        case _:
            write_page()
