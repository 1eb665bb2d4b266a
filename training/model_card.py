"""Writes the files around the weights: the pipeline's index, and `card.toml`, which dream reads."""

import json
import random
from pathlib import Path
from textwrap import fill

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.denoiser import scheduler
from training.drawing import render
from training.known_words import vocabulary
from training.scene_specs import FULL, sample_spec
from training.train_vae import SCALING

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": diffusers.__version__,
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}

GUIDANCE = 3.0  # classifier-free (Ho 2022)

CARD = """\
description = "The included model: simple images of shapes, objects and landscapes"
family = "sd1"
steps = 20
sampler = "dpmpp_2m_karras"
cfg_scale = {cfg}
width = 256
height = 256
upscaler = "tiny-x4"

# rgb in -1..1 = latents (scaled, as the UNet sees them) @ matrix + bias
[preview]
matrix = [
{rows}
]
bias = [{bias}]

# The words of all captions; others mean nothing to it. Shown by !help
[knows]
{knows}
"""


@torch.no_grad()
def fit_preview(vae: AutoencoderKL, count: int = 60, side: int = 256) -> tuple[Tensor, Tensor]:
    """The linear map from latents to colours, (4, 3) and (3,), by least squares."""
    rng = random.Random(31)
    drawn = [np.asarray(render(sample_spec(rng, FULL), side, side, i).image) for i in range(count)]
    pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1
    latents = torch.cat([vae.encode(p).latent_dist.mode() for p in pixels.split(8)]) * SCALING
    small = torch.nn.functional.avg_pool2d(pixels, 8)
    x = latents.permute(0, 2, 3, 1).reshape(-1, 4)  # (n, 4)
    y = small.permute(0, 2, 3, 1).reshape(-1, 3)  # (n, 3)
    with_one = torch.cat([x, torch.ones(len(x), 1)], 1)
    solved = torch.linalg.lstsq(with_one, y).solution  # (5, 3)
    return solved[:4], solved[4]


def write_index(out: Path) -> None:
    scheduler().save_pretrained(out / "scheduler")
    (out / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n", "utf-8")


def write_card(out: Path, guidance: float = GUIDANCE) -> None:
    vae = AutoencoderKL.from_pretrained(out / "vae").float().eval()
    matrix, bias = fit_preview(vae)
    rows = "\n".join("    [" + ", ".join(f"{v:.4f}" for v in row) + "]," for row in matrix.tolist())
    text = CARD.format(
        cfg=guidance,
        rows=rows,
        bias=", ".join(f"{v:.4f}" for v in bias.tolist()),
        knows=knows_table(),
    )
    (out / "card.toml").write_text(text, "utf-8")


def knows_table() -> str:
    """The `[knows]` of card.toml, without its head."""
    groups = vocabulary().items()
    return "\n\n".join(_group(name, words) for name, words in groups)


def _group(name: str, words: tuple[str, ...]) -> str:
    # Lines break between phrases only: their own spaces are replaced meanwhile.
    quoted = (json.dumps(word, ensure_ascii=False).replace(" ", "\0") for word in words)
    indent = "    "
    listed = fill(
        ", ".join(quoted) + ",",
        96,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace("\0", " ")
    return f"{json.dumps(name)} = [\n{listed}\n]"
