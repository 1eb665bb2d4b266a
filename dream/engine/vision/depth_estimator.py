"""Estimates depth from an image, with DPT (Ranftl et al. 2021, arXiv:2103.13413)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import DPTForDepthEstimation, DPTImageProcessor

from dream.engine.silence_libraries import silence_libraries
from dream.engine.vision.depth_conditioning import FEATURE_EXTRACTOR, PART
from dream.engine.vision.vision_loading import hash_weights, load_vision_model, make_load_error

_NEVER_USED = "neck.fusion_stage.layers.0.residual_layer1."
"""The first fusion has no residual input; DPT's own file leaves these weights out."""


@dataclass(frozen=True)
class DepthEstimator:
    """The model in memory."""

    path: Path
    sha256: str
    """Of its weights."""
    device: str
    model: Any
    image_processor: Any
    """Images to the model's pixel values."""

    def estimate(self, image: Image.Image) -> torch.Tensor:
        """(1, 1, h, w) in float32: the greater, the nearer, in no particular unit."""
        with silence_libraries(), torch.inference_mode():
            pixels = self.image_processor(images=image, return_tensors="pt").pixel_values
            predicted: torch.Tensor = self.model(pixels.to(self.device)).predicted_depth
        return predicted[:, None].float()


def open_estimator(path: Path, device: str) -> DepthEstimator:
    """Load the model from a transformers folder, or from its part of a depth model; in float32,
    because its normalisations overflow in float16. Raises ModelError."""
    folder = path.parent / FEATURE_EXTRACTOR if path.name == PART else path
    with silence_libraries():
        model = load_vision_model(DPTForDepthEstimation, path, device, unused=_NEVER_USED)
        try:
            image_processor = DPTImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise make_load_error(folder, error) from error
    return DepthEstimator(path, hash_weights(path), device, model, image_processor)
