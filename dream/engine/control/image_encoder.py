"""CLIP vision encoders, which image prompts are read with: built from the shapes of a single file.

Radford et al. 2021, arXiv:2103.00020. Sizes of heads and the activation, which shapes do not say,
are those of OpenAI's ViT-L, and of OpenCLIP's ViT-H and ViT-bigG.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.initialization import no_init_weights

from dream.catalogue.detect.require import require_supported
from dream.core.errors import ModelError
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.config_from_shapes import Shapes, count_blocks
from dream.engine.loading.weight_copy import load_weights, missing_weights_error
from dream.engine.memory.device import Placement
from dream.engine.silence_libraries import silence_libraries

_PARTS = ("vision_model.", "visual_projection.")
_BUFFER = "vision_model.embeddings.position_ids"
_HEADS = 16
_OPENAI_PROJECTION = 768
"""Width of the projection of OpenAI's ViT-L, whose activation is another one than OpenCLIP's."""


@dataclass(frozen=True)
class ImageEncoder:
    """An encoder in memory, in float32."""

    path: Path
    device: str
    model: Any
    image_processor: Any

    def encode(self, image: Image.Image, *, layers: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """What an RGB image of any size is to an adapter, and what no image is: its projection,
        (1, width), and zeros; or the output of its last layer but one, (1, tokens, width), and that
        of a black image."""
        with silence_libraries(), torch.no_grad():
            pixels = self.image_processor(image, return_tensors="pt").pixel_values.to(self.device)
            if not layers:
                embeds = self.model(pixels).image_embeds
                return embeds, torch.zeros_like(embeds)
            return self._read_layer(pixels), self._read_layer(torch.zeros_like(pixels))

    @property
    def mapped_bytes(self) -> int:
        """Of its weights, those that are the file itself."""
        return int(getattr(self.model, "mapped_bytes", 0))

    def _read_layer(self, pixels: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(pixels, output_hidden_states=True).hidden_states[-2]
        return states


def open_image_encoder(path: Path, device: str) -> ImageEncoder:
    """Load an encoder from a file of transformers' names; other parts of a whole CLIP are ignored.
    Raises ModelError."""
    mapped = open_tensors(path, require_supported(path).format)
    weights = {
        name: tensor
        for name, tensor in mapped.tensors.items()
        if name.startswith(_PARTS) and name != _BUFFER
    }
    try:
        config = infer_vision_config(weights)
    except KeyError as error:
        raise missing_weights_error(path, str(error.args[0])) from error
    except (IndexError, ValueError, ArithmeticError) as error:
        raise ModelError(f"{path} is not a CLIP vision encoder that is supported") from error
    with silence_libraries():
        with init_empty_weights(), no_init_weights():
            model = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
        loaded = load_weights(model, weights, path, Placement(device, "float32", ""), [mapped])
        side = config["image_size"]
        processor = CLIPImageProcessor(size=side, crop_size=side)
    return ImageEncoder(path, device, loaded, processor)


def infer_vision_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a CLIPVisionModelWithProjection, from the shapes of its weights. Raises
    KeyError for a missing weight."""
    width, channels, patch, _ = shapes["vision_model.embeddings.patch_embedding.weight"].shape
    places = shapes["vision_model.embeddings.position_embedding.weight"].shape[0]
    layer = "vision_model.encoder.layers.{}.mlp.fc1.weight"
    projection = shapes["visual_projection.weight"].shape[0]
    return {
        "hidden_size": width,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": isqrt(places - 1) * patch,
        "intermediate_size": shapes[layer.format(0)].shape[0],
        "num_hidden_layers": count_blocks(shapes, layer),
        "num_attention_heads": _HEADS,
        "projection_dim": projection,
        "hidden_act": "quick_gelu" if projection == _OPENAI_PROJECTION else "gelu",
    }
