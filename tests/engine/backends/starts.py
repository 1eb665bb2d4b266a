"""Processes that begin with a network that is converted already."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from dream.catalogue import ModelRegistry
from dream.catalogue.model_info import ModelInfo
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.backends.converted_networks import ConvertedNetworks
from dream.engine.backends.engines import Engines
from dream.engine.image_generator import ImageGenerator
from dream.engine.loading.pipelines import load_model
from dream.options.engine_table import OPENVINO, TORCH
from tests.engine.adapters import files, layers
from tests.recipes import recipe


class Starts:
    """A model of float16, so that nothing of it stays mapped; and image generators that start
    anew, with the same converted networks."""

    def __init__(self, folder: Path, random_models: Path) -> None:
        self.models, self.networks = folder / "models", ConvertedNetworks(folder / "openvino")
        model = self.models / "random"
        shutil.copytree(random_models / "random", model)
        pipe = load_model(ModelInfo(name="random", path=model), "cpu", "float32").pipe
        pipe.unet.half().save_pretrained(model / "unet")
        self.lora = folder / "lora.safetensors"
        parts = {
            ("unet", layer): layers.lora(files.weight_of(pipe, "unet", layer))[0]
            for layer, module in pipe.unet.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        files.write(self.lora, pipe, parts)
        self.first, _ = render(self.open(), engine=OPENVINO)
        self.plain, _ = render(self.open(), engine=TORCH)

    def open(self) -> ImageGenerator:
        generator = create_generator(
            ModelRegistry([self.models]).get_model, find_adapter=lambda kind, name: self.lora
        )
        generator.engines = Engines(self.networks)
        return generator


def render(generator: ImageGenerator, **changes: Any) -> tuple[Picture, list[str]]:
    notes: list[str] = []
    picture = generator.generate(
        recipe(**{"steps": 2} | changes),
        lambda event: notes.append(event.text) if isinstance(event, Note) else None,
    )
    return picture, notes


def has_weights(generator: ImageGenerator) -> bool:
    """Whether torch has the denoiser's."""
    (loaded,) = generator._cache.list_models()
    return loaded.late.is_complete
