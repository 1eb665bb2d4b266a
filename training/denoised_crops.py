"""Crops of new images, with the latents that the model would make of them.

A denoiser's latents are softer than an encoder's, and a decoder that has seen only the latter's
draws them with soft edges. So half of the images are mixed with noise and denoised in one step.
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.captions import caption
from training.denoiser import Noise
from training.drawing import render
from training.scene_specs import sample_any_spec
from training.train_text_encoder import tokenize
from training.train_vae import SCALING, VARIED
from training.training_clock import precision

MIX = replace(VARIED, scene=0.15, pair=0.3, arrangement=0.4, newer=0.25)
SIDES = (192, 256)
CROP = 12  # latents
CROPS = 4  # of each image
SLIP = 0.15  # maximum noise on the latents that are not denoised
LEVELS = 350  # below this one, an image in noise is still the same image when it is denoised


class CropSource:
    """`vae` is the one in training; text encoder and UNet are those in `out`."""

    def __init__(self, out: Path, vae: AutoencoderKL, device: str = "cpu") -> None:
        self.vae, self.device = vae, device
        self.tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
        self.text = CLIPTextModel.from_pretrained(out / "text_encoder").float().eval().to(device)
        unet = UNet2DConditionModel.from_pretrained(out / "unet").float().eval().to(device)
        self.unet = unet.to(memory_format=torch.channels_last)
        self.noise = Noise.schedule(device)

    @torch.no_grad()
    def sample(self, rng: random.Random, count: int) -> tuple[Tensor, Tensor]:
        """Latents as the decoder gets them, (count, 4, 12, 12), and pixels in -1..1,
        (count, 3, 96, 96)."""
        images = count // CROPS
        pixels, texts = self._draw(rng, images)
        half = (images + 1) // 2
        if rng.random() < 0.2:  # colours outside the palette
            pixels[half:] = pixels[half:, rng.sample(range(3), 3)]
        with precision(self.device):
            latents = self.vae.encode(pixels).latent_dist.mode().float() * SCALING
        slip = SLIP * torch.rand(images - half, 1, 1, 1, device=self.device)
        rough = latents[half:] + slip * torch.randn_like(latents[half:])
        latents = torch.cat([self._denoise(latents[:half], texts[:half]), rough]) / SCALING
        cut = [_cut(rng, latents[i % images], pixels[i % images]) for i in range(count)]
        made, wanted = (torch.stack(part) for part in zip(*cut, strict=True))
        return made, wanted.contiguous(memory_format=torch.channels_last)

    def _draw(self, rng: random.Random, count: int) -> tuple[Tensor, list[str]]:
        """(count, 3, h, w) in -1..1 and a caption of each."""
        side = rng.choice(SIDES)
        specs = [sample_any_spec(rng, MIX) for _ in range(count)]
        drawn = [np.asarray(render(spec, side, side, rng.getrandbits(32)).image) for spec in specs]
        pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).to(self.device).float()
        pixels = (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        return pixels, [caption(rng, spec) for spec in specs]

    def _denoise(self, latents: Tensor, texts: list[str]) -> Tensor:
        """(b, 4, h, w) → the same with noise of a random level, denoised in one step."""
        level = torch.randint(LEVELS, (len(latents),), device=self.device)  # (b,)
        seen, _ = self.noise.mixed(latents, torch.randn_like(latents), level)
        with precision(self.device):
            hidden = self.text(tokenize(self.tokenizer, texts).to(self.device)).last_hidden_state
            seen = seen.contiguous(memory_format=torch.channels_last)
            answer = self.unet(seen, level, hidden).sample.float()
        return self.noise.denoised(seen, answer, level)


def _cut(rng: random.Random, latents: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(4, h, w), (3, 8h, 8w) → the same square of both."""
    h, w = latents.shape[1:]
    x, y = rng.randint(0, w - CROP), rng.randint(0, h - CROP)
    x8, y8, side = 8 * x, 8 * y, 8 * CROP
    return latents[:, y : y + CROP, x : x + CROP], pixels[:, y8 : y8 + side, x8 : x8 + side]
