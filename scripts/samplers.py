"""What every sampler does: the table of docs/samplers.md, and pictures of the shipped model.

python -m scripts.samplers                 the table, with the exact denoiser of the tests
python -m scripts.samplers painted [N [NAME …]]
                                           N pictures of each from words, and from a picture
python -m scripts.samplers former          the lines of tests/former, bit for bit
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.recipe import Recipe
from dream.engine import create_generator
from dream.engine.sampling.schedulers import make_scheduler
from dream.engine.silence_libraries import silence_libraries
from dream.engine.tasks import TaskInputs
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import SCHEDULES
from tests.engine.gaussian import CONFIGS, SPREAD, draws, exact, walked
from training.image_analysis import analyze

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "samplers.md"
STEPS = (10, 20, 50)
SIDE = 256

ELSEWHERE = {
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
    "k_euler_churn": ("Euler, sigma churn", "euler, s_churn", "EulerDiscreteScheduler, s_churn"),
    "k_heun_churn": ("Heun, sigma churn", "heun, s_churn", "HeunDiscreteScheduler, s_churn"),
    "restart": ("Restart", "–", "–"),
    "res_multistep": ("–", "res_multistep", "–"),
    "er_sde": ("–", "er_sde", "–"),
    "tcd": ("–", "–", "TCDScheduler"),
}
"""Their names in AUTOMATIC1111's web UI, ComfyUI and diffusers."""


# ── the table ──────────────────────────────────────────────────────────────────────────────────


def error(name: str, steps: int) -> float:
    """For a sampler without noise the distance from where the probability flow leads, of one with
    noise that of the spread from the data's; both in standard deviations, the mean of six."""
    with silence_libraries():
        scheduler = make_scheduler(name, CONFIGS["v"], steps, torch.float32)
    made = walked(scheduler, CONFIGS["v"], steps, draws(1, 4000))
    if SAMPLERS[name].noisy:
        spread = made.x.std(-1, keepdim=True) / SPREAD
        return float((spread - 1).abs().mean())
    exactly = exact(made.start, made.sigmas[0])
    return float(((made.x - exactly) / SPREAD).pow(2).mean(-1).sqrt().mean())


def table() -> Iterator[str]:
    yield "| sampler | calls | order | error at 10 | 20 | 50 steps | A1111 | ComfyUI | diffusers |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, row in SAMPLERS.items():
        errors = " | ".join(f"{error(name, steps):.3f}" for steps in STEPS)
        others = " | ".join(ELSEWHERE[name])
        yield f"| `{name}` | {row.calls} | {row.order} | {errors} | {others} |"


def page() -> str:
    schedules = "\n".join(f"| `{name}` | {what} |" for name, what in SCHEDULES.items())
    papers = "\n".join(f"| `{name}` | {row.paper} |" for name, row in SAMPLERS.items())
    rows = "\n".join(table())
    return f"""# Samplers

Written by `python -m scripts.samplers`. `-A NAME` chooses one, `--schedule NAME` the noise levels
it walks along.

Errors are those with a denoiser that is exact, of six Gaussians with variances from 0.01 to 4, on
Stable Diffusion's noise, along the sampler's own schedule, in standard deviations of the data: for
a sampler without noise how far its latents end from where the probability flow leads, for one with
noise how far their spread is from the data's. Calls are those of the network for n steps; the order
is as measured.

{rows}

## Schedules

| schedule | what it is |
|---|---|
{schedules}

## Papers

| sampler | paper |
|---|---|
{papers}
"""


# ── pictures ───────────────────────────────────────────────────────────────────────────────────

COLOURS = ("red", "yellow", "green", "blue", "black", "white")
KINDS = ("circle", "star", "heart", "square")


def asked(count: int) -> list[tuple[str, str, str]]:
    """Colour, kind and background, of all pairs evenly."""
    pairs = [pair for pair in product(COLOURS, COLOURS) if pair[0] != pair[1]]
    return [
        (pairs[n * 7 % len(pairs)][0], KINDS[n % len(KINDS)], pairs[n * 7 % len(pairs)][1])
        for n in range(count)
    ]


def grain(image: Image.Image) -> float:
    """Mean step from a pixel to the next, of 255."""
    return float(np.abs(np.diff(np.asarray(image, np.float32), axis=1)).mean())


def painted(count: int, rows: Sequence[str]) -> None:
    painter = create_generator(ModelRegistry([ROOT / "models"]).get_model)
    other = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    other.paste((220, 150, 60), (64, 64, 192, 192))
    heun: dict[str, float] = {}
    names = ["k_heun", *(name for name in rows or SAMPLERS if name != "k_heun")]
    for name, start in product(names, ("words", "picture")):
        right, steps = 0, list[float]()
        for seed, (colour, kind, background) in enumerate(asked(count)):
            recipe = Recipe(
                prompt=f"a {colour} {kind} on a {background} background",
                negative="",
                steps=20,
                seed=900 + seed,
                width=SIDE,
                height=SIDE,
                cfg_scale=3.0,
                sampler=name,
                model="tiny",
                strength=0.8 if start == "picture" else None,
            )
            given = TaskInputs(image=other if start == "picture" else None)
            image = painter.generate(recipe, lambda told: None, given).image
            found = analyze(image)
            right += found.background == background and found.regions[0].colour == colour
            steps.append(grain(image))
        mean = float(np.mean(steps))
        heun.setdefault(start, mean)
        share = f"{right}/{count} right"
        print(f"{name:16} {start:8} {share}  grain {mean / heun[start] - 1:+.1%}", flush=True)


def former() -> None:
    from dream.core.request import Request
    from dream.line import parse_line
    from dream.session.replay_checks import get_line_defaults
    from dream.session.resolve import resolve

    here = ROOT / "tests" / "former"
    painter, registry = (
        create_generator(ModelRegistry([ROOT / "models"]).get_model),
        ModelRegistry([ROOT / "models"]),
    )
    sheet = np.asarray(Image.open(here / "pictures.png").convert("RGB"))
    lines = (here / "lines.txt").read_text("utf-8").splitlines()
    same = 0
    for number, line in enumerate(lines):
        request = parse_line(line, get_line_defaults(line, Request(), Path))
        (recipe,) = resolve(
            request, lambda name: registry.get_model(name or "tiny"), (), lambda: 1
        ).recipes
        top, left = number // 8 * 64, number % 8 * 64
        then = sheet[top : top + 64, left : left + 64]
        made: Any = painter.generate(recipe, lambda told: None).image
        same += bool((np.asarray(made) == then).all())
    print(f"{same} of {len(lines)} bit for bit")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["painted", *more]:
            painted(int(more[0]) if more else 20, more[1:])
        case ["former"]:
            former()
        case _:
            PAGE.write_text(page(), encoding="utf-8")
