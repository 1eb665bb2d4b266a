"""Generates images with the finished model, by plain diffusers."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from training.captions import plainly
from training.image_analysis import Detection, analyze
from training.scene_specs import ObjectScene

MODEL = Path("models/tiny")
BATCH = 8


class TinyGenerator:
    """The model with its card."""

    def __init__(self, folder: Path = MODEL) -> None:
        self.card = tomllib.loads((folder / "card.toml").read_text("utf-8"))
        self.pipe: Any = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
        self.pipe.set_progress_bar_config(disable=True)
        self.config = dict(self.pipe.scheduler.config)

    def generate(self, prompts: Sequence[str], seed: int = 0, **wanted: Any) -> list[Image.Image]:
        """One image per prompt, seeds counted up from `seed`; `wanted` overrides the card's
        values."""
        settings = {**self.card, **wanted}
        images: list[Image.Image] = []
        for start in range(0, len(prompts), BATCH):
            some = list(prompts[start : start + BATCH])
            self.pipe.scheduler = self._scheduler(settings["sampler"], settings["steps"])
            negative = settings.get("negative")
            images += self.pipe(
                some,
                negative_prompt=negative[start : start + BATCH] if negative else None,
                num_inference_steps=settings["steps"],
                guidance_scale=settings["cfg_scale"],
                width=settings["width"],
                height=settings["height"],
                generator=[
                    torch.Generator("cpu").manual_seed(seed + start + i) for i in range(len(some))
                ],
            ).images
        return images

    def _scheduler(self, sampler: str, steps: int) -> Any:
        from dream.engine.sampling.schedulers import make_scheduler

        return make_scheduler(sampler, self.config, steps, torch.float32)

    def find(
        self, wanted: Sequence[ObjectScene], language: str = "en", **settings: Any
    ) -> list[Detection]:
        return [
            analyze(image)
            for image in self.generate([plainly(still, language) for still in wanted], **settings)
        ]
