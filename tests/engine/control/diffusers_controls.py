"""What the tests share that compare control images with diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image, ImageDraw

from dream.catalogue import ModelRegistry
from dream.catalogue.control_files import get_control
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.silence_libraries import silence_libraries


def open_generator(models: Path, count: int) -> ImageGenerator:
    """One with the models and the control models of a folder, which keeps so many in memory."""
    return create_generator(
        ModelRegistry([models]).get_model,
        DeviceConfig(max_loaded_models=count),
        find_control=lambda name: get_control(name, [models]),
    )


def load_net(kind: Any, folder: Path) -> Any:
    """A ControlNet with the memory layout that dream gives it, which decides the low bits."""
    with silence_libraries():
        net = kind.from_pretrained(folder)
    for parameter in net.parameters():
        parameter.data = parameter.data.clone()
    return net.to(memory_format=torch.channels_last)


def take_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers draws the latents of control images from the seed's generator, or from torch's own;
    here they are the mean."""
    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )


def save_outline(path: Path, box: tuple[int, int, int, int]) -> None:
    """Save a control map of 64 x 64 pixels: an ellipse in a box of left, top, right, bottom."""
    image = Image.new("RGB", (64, 64))
    ImageDraw.Draw(image).ellipse(box, outline="white", width=2)
    image.save(path)


def open_rgb(path: str | Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
