"""How far away things are in a picture, estimated by DPT (Ranftl et al. 2021, arXiv:2103.13413)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import DPTForDepthEstimation, DPTImageProcessor

from dream.engine.depth import LOOK, PART
from dream.engine.quiet import quiet
from dream.engine.seeing import broken, fingerprint, load_whole

_NEVER_USED = "neck.fusion_stage.layers.0.residual_layer1."
"""The first fusion has nothing to be added to it; DPT's own file leaves these out."""


@dataclass(frozen=True)
class Estimator:
    """The model in memory."""

    path: Path
    sha256: str
    """Of its weights."""
    device: str
    model: Any
    look: Any
    """Pictures to what the model sees."""

    def depth(self, image: Image.Image) -> torch.Tensor:
        """(1, 1, h, w) in float32: the greater, the nearer, by no particular measure."""
        with quiet(), torch.inference_mode():
            seen = self.look(images=image, return_tensors="pt").pixel_values
            predicted: torch.Tensor = self.model(seen.to(self.device)).predicted_depth
        return predicted[:, None].float()


def open_estimator(path: Path, device: str) -> Estimator:
    """The model in a folder as transformers keeps it, or in its part of a depth model; in float32,
    for its normalizations overflow in half of it. Raises ModelError."""
    beside = path.parent / LOOK if path.name == PART else path
    with quiet():
        model = load_whole(DPTForDepthEstimation, path, device, unused=_NEVER_USED)
        try:
            look = DPTImageProcessor.from_pretrained(beside, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise broken(beside, error) from error
    return Estimator(path, fingerprint(path), device, model, look)
