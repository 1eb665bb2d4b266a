"""New images, with the latents that the model would make of them.

A denoiser's latents are softer than an encoder's, and a decoder that has seen only the latter's
draws them with soft edges. So of most images the latents are mixed with noise and denoised, in two
steps and with guidance, which changes colours.

The images are whole: a group norm divides by what it finds in the whole image, so that a decoder
trained on crops makes a pink object on a large even background cream-coloured.
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
from training.model_card import GUIDANCE
from training.scene_specs import sample_any_spec
from training.train_text_encoder import tokenize
from training.train_vae import SCALING, VARIED
from training.training_clock import precision

MIX = replace(
    VARIED,
    scene=0.15,
    pair=0.2,
    several=0.15,
    pattern=0.2,
    style=0.2,
    arrangement=0.3,
    newer=0.25,
    landscape=0.1,
)
SIDES = (128, 192, 256, 256, 320)
SLIP = 0.15  # maximum noise on the latents that are not denoised
LEVELS = 450  # below this one, an image in noise is still the same image when it is denoised
DENOISED = 0.7  # of the images


class DenoisedImages:
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
        """Latents as the decoder gets them, (b, 4, h / 8, w / 8), and pixels in -1..1,
        (b, 3, h, w): about as many pixels as `count` images of 256 x 256 have."""
        side = rng.choice(SIDES)
        images = max(2, round(count * (256 / side) ** 2))
        pixels, texts = self._draw(rng, images, side)
        denoised = round(DENOISED * images)
        if rng.random() < 0.2:  # colours outside the palette
            pixels[denoised:] = pixels[denoised:, rng.sample(range(3), 3)]
        with precision(self.device):
            latents = self.vae.encode(pixels).latent_dist.mode().float() * SCALING
        slip = SLIP * torch.rand(images - denoised, 1, 1, 1, device=self.device)
        rough = latents[denoised:] + slip * torch.randn_like(latents[denoised:])
        clean = self._denoise(latents[:denoised], texts[:denoised])
        return torch.cat([clean, rough]) / SCALING, pixels

    def _draw(self, rng: random.Random, count: int, side: int) -> tuple[Tensor, list[str]]:
        """(count, 3, side, side) in -1..1 and a caption of each."""
        specs = [sample_any_spec(rng, MIX) for _ in range(count)]
        drawn = [np.asarray(render(spec, side, side, rng.getrandbits(32)).image) for spec in specs]
        pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).to(self.device).float()
        pixels = (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        return pixels, [caption(rng, spec) for spec in specs]

    def _denoise(self, latents: Tensor, texts: list[str]) -> Tensor:
        """(b, 4, h, w) → the same with noise of a random level, denoised in two steps of DDIM
        (Song 2021) with guidance (Ho 2022)."""
        hidden = self._encode_text([*texts, *[""] * len(texts)])  # (2b, 77, 128)
        level = torch.randint(1, LEVELS, (len(latents),), device=self.device)  # (b,)
        seen, _ = self.noise.mixed(latents, torch.randn_like(latents), level)
        v = self._predict(seen, level, hidden)
        between, noise = level // 2, self.noise.noise_in(seen, v, level)
        seen, _ = self.noise.mixed(self.noise.denoised(seen, v, level), noise, between)
        return self.noise.denoised(seen, self._predict(seen, between, hidden), between)

    def _encode_text(self, texts: list[str]) -> Tensor:
        """→ (b, 77, 128)."""
        with precision(self.device):
            tokens = tokenize(self.tokenizer, texts).to(self.device)
            hidden: Tensor = self.text(tokens).last_hidden_state
        return hidden

    def _predict(self, seen: Tensor, level: Tensor, hidden: Tensor) -> Tensor:
        """(b, 4, h, w), (b,), (2b, 77, 128) → v with guidance, (b, 4, h, w)."""
        twice = seen.repeat(2, 1, 1, 1).contiguous(memory_format=torch.channels_last)
        with precision(self.device):
            answer = self.unet(twice, level.repeat(2), hidden).sample
        with_text, without = answer.float().chunk(2)
        guided: Tensor = without + GUIDANCE * (with_text - without)
        return guided
