"""A network that makes control maps, loaded from a folder in transformers' layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers
from PIL import Image

from dream.catalogue.auxiliary import get_model_type
from dream.core.errors import ModelError
from dream.engine.silence_libraries import silence_libraries
from dream.engine.vision.vision_loading import hash_weights, load_vision_model, make_load_error

_CLASSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "depth_anything": ("DepthAnythingForDepthEstimation", "DPTImageProcessor"),
        "zoedepth": ("ZoeDepthForDepthEstimation", "ZoeDepthImageProcessor"),
        "dpt": ("DPTForDepthEstimation", "DPTImageProcessor"),
        "oneformer": ("OneFormerForUniversalSegmentation", "OneFormerImageProcessor"),
        "mask2former": ("Mask2FormerForUniversalSegmentation", "Mask2FormerImageProcessor"),
        "upernet": ("UperNetForSemanticSegmentation", "SegformerImageProcessor"),
        "segformer": ("SegformerForSemanticSegmentation", "SegformerImageProcessor"),
        "vitpose": ("VitPoseForPoseEstimation", "VitPoseImageProcessor"),
        "rt_detr": ("RTDetrForObjectDetection", "RTDetrImageProcessor"),
    }
)
"""transformers' classes of a model and of its image processor, by `model_type`."""
_UNUSED = MappingProxyType(
    {
        "dpt": "neck.fusion_stage.layers.0.residual_layer1.",
        "depth_anything": "backbone.embeddings.mask_token",
        "upernet": "auxiliary_head.",
    }
)
"""Weights that the files may leave out, since no result depends on them."""
_PROCESSOR_OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"oneformer": {"class_info_file": None}}  # names of classes, which it would ask the hub for
)
_TASK = "the task is semantic"


@dataclass(frozen=True)
class MapNetwork:
    """A network in memory."""

    path: Path
    sha256: str
    """Of its weights."""
    device: str
    kind: str
    """Its `model_type`."""
    model: Any
    processor: Any
    task: torch.Tensor | None = None
    """(1, length): the tokens of what OneFormer is to do."""

    def look(self, image: Image.Image, **options: Any) -> Any:
        """What the model answers for an RGB image."""
        with silence_libraries(), torch.inference_mode():
            inputs = self.processor(images=image, return_tensors="pt", **options)
            pixels = inputs.pixel_values.to(self.device)
            return self.model(pixel_values=pixels, **self._more_inputs(len(pixels)))

    def _more_inputs(self, count: int) -> dict[str, torch.Tensor]:
        """OneFormer's task; and the data set as which a ViTPose+ answers, of which COCO is the
        first."""
        if self.task is not None:
            return {"task_inputs": self.task.to(self.device)}
        backbone = getattr(self.model.config, "backbone_config", None)
        if getattr(backbone, "num_experts", 1) < 2:
            return {}
        return {"dataset_index": torch.zeros(count, dtype=torch.long, device=self.device)}


def open_network(path: Path, device: str) -> MapNetwork:
    """Load a network from a transformers folder, in float32. Raises ModelError."""
    kind = get_model_type(path)
    if kind not in _CLASSES:
        raise ModelError(f"{path} cannot be loaded: it is {kind or 'of no known kind'}")
    model_name, processor_name = _CLASSES[kind]
    with silence_libraries():
        model = load_vision_model(
            getattr(transformers, model_name), path, device, unused=_UNUSED.get(kind, "")
        )
        processor = _load(processor_name, path, **_PROCESSOR_OPTIONS.get(kind, {}))
        task = _encode_task(path, model.config.task_seq_len) if kind == "oneformer" else None
    return MapNetwork(path, hash_weights(path), device, kind, model, processor, task)


def resize_values(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(b, c, h, w), at a size of (width, height)."""
    width, height = size
    return torch.nn.functional.interpolate(
        values, (height, width), mode="bilinear", align_corners=False
    )


def _load(name: str, path: Path, **options: Any) -> Any:
    """An image processor or a tokenizer of transformers. Raises ModelError."""
    try:
        return getattr(transformers, name).from_pretrained(path, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise make_load_error(path, error) from error


def _encode_task(path: Path, length: int) -> torch.Tensor:
    """As OneFormer's own processor encodes it: what fills it up is 0."""
    tokenizer = _load("CLIPTokenizer", path)
    found = tokenizer(
        [_TASK], padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    tokens: torch.Tensor = found.input_ids * found.attention_mask
    return tokens
