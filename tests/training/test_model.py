"""The shipped files are a Stable Diffusion that any diffusers user can load and run."""

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from training.image_analysis import analyze

MODEL = Path("models/tiny")

# diffusers' schedulers hand torch tensors to numpy the old way
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PAINT = """
import hashlib, torch
from diffusers import StableDiffusionPipeline
torch.set_num_threads(1)
pipe = StableDiffusionPipeline.from_pretrained("models/tiny", dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
made = pipe("a red circle", num_inference_steps=4, width=192, height=192,
            generator=torch.Generator("cpu").manual_seed(7)).images[0]
print(hashlib.sha256(made.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def pipe() -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline.from_pretrained(MODEL, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def render(
    pipe: StableDiffusionPipeline, prompt: str, seed: int = 1, side: tuple[int, int] = (256, 256)
) -> Image.Image:
    made: Image.Image = pipe(
        prompt,
        num_inference_steps=12,
        guidance_scale=4.0,
        width=side[0],
        height=side[1],
        generator=torch.Generator("cpu").manual_seed(seed),
    ).images[0]
    return made


def test_all_parts_together_are_small() -> None:
    folders = MODEL, MODEL.with_name("tiny-x4")
    parts = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in parts) <= 14e6


def test_weights_are_safetensors_in_half_precision_or_less() -> None:
    assert not [*MODEL.rglob("*.bin"), *MODEL.rglob("*.pt"), *MODEL.rglob("*.ckpt")]
    from safetensors import safe_open

    for path in MODEL.rglob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            names = list(weights.keys())
            kinds = {weights.get_tensor(name).dtype for name in names}
        inner = {torch.float8_e4m3fn} if path.parent.name == "unet" else set()
        assert kinds == {torch.float16} | inner


@pytest.mark.parametrize(
    ("prompt", "background", "colour"),
    [
        ("a red circle on a blue background", "blue", "red"),
        ("a yellow star on a black background", "black", "yellow"),
        ("白色背景上的绿色心形", "white", "green"),
    ],
)
def test_it_paints_the_colours_asked_for(
    pipe: StableDiffusionPipeline, prompt: str, background: str, colour: str
) -> None:
    detection = analyze(render(pipe, prompt))
    assert detection.background == background
    assert detection.regions and detection.regions[0].colour == colour


@pytest.mark.parametrize("side", [(192, 192), (384, 256), (256, 320)])
def test_other_sizes_hold_one_object_too(
    pipe: StableDiffusionPipeline, side: tuple[int, int]
) -> None:
    detection = analyze(render(pipe, "a red circle on a blue background", side=side))
    largest = detection.regions[0].area
    assert detection.background == "blue"
    assert sum(region.area > 0.3 * largest for region in detection.regions) == 1


def test_two_processes_paint_the_same_bits() -> None:
    hashes = [
        subprocess.run(
            [sys.executable, "-c", PAINT], capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == len(hashlib.sha256().hexdigest())


def test_the_card_maps_latents_to_colours(pipe: StableDiffusionPipeline) -> None:
    card = tomllib.loads((MODEL / "card.toml").read_text("utf-8"))
    assert (card["family"], card["width"], card["height"]) == ("sd1", 256, 256)
    flat = np.full((128, 128, 3), (38, 84, 214), np.uint8)
    pixels = torch.from_numpy(flat).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latents = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
    matrix, bias = (torch.tensor(card["preview"][key]) for key in ("matrix", "bias"))
    preview = latents[0, :, 8, 8] @ matrix + bias  # one latent → rgb in -1..1
    assert (preview - pixels[0, :, 0, 0]).abs().max() < 0.35
