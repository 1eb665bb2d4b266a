"""Networks that make control maps of an image: depth, areas, and the poses of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image

from dream.catalogue.auxiliary import get_model_type
from dream.core.errors import ModelError
from dream.engine.silence_libraries import silence_libraries
from dream.engine.vision.control_maps.ade20k import CLASSES, colour_classes
from dream.engine.vision.control_maps.skeleton import Points, draw_skeletons
from dream.engine.vision.vision_loading import hash_weights, load_vision_model, make_load_error

Depth = NDArray[np.float32]
"""(h, w) in 0..1: the greater, the nearer."""

_CLASSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "depth_anything": ("DepthAnythingForDepthEstimation", "DPTImageProcessor"),
        "zoedepth": ("ZoeDepthForDepthEstimation", "ZoeDepthImageProcessor"),
        "dpt": ("DPTForDepthEstimation", "DPTImageProcessor"),
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
_METRIC = ("zoedepth",)
"""Models that answer with distances: the greater, the farther."""
_MOST_PEOPLE = 20
_PERSON, _PERSON_SCORE = 0, 0.3
_COCO_JOINTS = 17


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

    def look(self, image: Image.Image, **options: Any) -> Any:
        """What the model answers for an RGB image."""
        with silence_libraries(), torch.inference_mode():
            inputs = self.processor(images=image, return_tensors="pt", **options)
            return self.model(pixel_values=inputs.pixel_values.to(self.device))


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
        try:
            processor = getattr(transformers, processor_name).from_pretrained(
                path, local_files_only=True
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise make_load_error(path, error) from error
    return MapNetwork(path, hash_weights(path), device, kind, model, processor)


def draw_depth(network: MapNetwork, image: Image.Image) -> Image.Image:
    """The depth of an RGB image in gray: white is nearest, black farthest."""
    levels = np.rint(_estimate_depth(network, image) * 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def draw_normals(network: MapNetwork, image: Image.Image) -> Image.Image:
    """Directions of surfaces, from the slopes of the depth: what faces left is red, up green, and
    the viewer blue, as in ControlNet 1.1."""
    depth = _estimate_depth(network, image) * min(image.size)
    down, right = np.gradient(depth) if min(image.size) > 1 else (depth * 0, depth * 0)
    normals = np.stack([right, down, np.ones_like(depth)], 2)  # (h, w, 3)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    return Image.fromarray(np.rint((normals + 1) * 127.5).astype(np.uint8))


def draw_areas(network: MapNetwork, image: Image.Image) -> Image.Image:
    """The class of each pixel, in the colours of ADE20K. Raises ModelError for a network that knows
    other classes."""
    logits = network.look(image).logits  # (1, 150, h, w)
    if logits.shape[1] != CLASSES:
        raise ModelError(
            f"{network.path} knows {logits.shape[1]} classes, not ADE20K's {CLASSES}",
            "remove it from the models folder, or use a ready-made map with --control_raw",
        )
    sized = _resize(logits.float(), image.size)
    return Image.fromarray(colour_classes(sized[0].argmax(0).cpu().numpy()))


def draw_poses(detector: MapNetwork, network: MapNetwork, image: Image.Image) -> Image.Image:
    """The people in an RGB image as OpenPose's skeletons; black where there are none."""
    boxes = _find_people(detector, image)
    return draw_skeletons(_find_joints(network, image, boxes) if boxes else [], image.size)


def _estimate_depth(network: MapNetwork, image: Image.Image) -> Depth:
    predicted = network.look(image).predicted_depth[:, None].float()  # (1, 1, h, w)
    depth = _resize(predicted, image.size)[0, 0].cpu().numpy()
    metric = getattr(network.model.config, "depth_estimation_type", "") == "metric"
    if metric or network.kind in _METRIC:
        depth = -depth
    least, most = float(depth.min()), float(depth.max())
    if not most > least:
        return np.zeros_like(depth)
    return np.asarray((depth - least) / (most - least), np.float32)


def _resize(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    width, height = size
    return torch.nn.functional.interpolate(
        values, (height, width), mode="bilinear", align_corners=False
    )


def _find_people(detector: MapNetwork, image: Image.Image) -> list[list[float]]:
    """Boxes as left, top, width and height in pixels; the surest first."""
    width, height = image.size
    found = detector.processor.post_process_object_detection(
        detector.look(image), threshold=_PERSON_SCORE, target_sizes=[(height, width)]
    )[0]
    people = found["labels"] == _PERSON
    boxes, scores = found["boxes"][people].cpu(), found["scores"][people].cpu()
    order = scores.argsort(descending=True, stable=True)[:_MOST_PEOPLE]
    corners = [[float(value) for value in boxes[i]] for i in order]
    return [[x, y, u - x, v - y] for x, y, u, v in corners if u - x >= 1 and v - y >= 1]


def _find_joints(network: MapNetwork, image: Image.Image, boxes: list[list[float]]) -> list[Points]:
    """COCO's 17 joints of each person. Raises ModelError for a network that knows others."""
    found = network.processor.post_process_pose_estimation(
        network.look(image, boxes=[boxes]), boxes=[boxes]
    )[0]
    people = []
    for person in found:
        keypoints, scores = person["keypoints"], person["scores"]
        if len(keypoints) != _COCO_JOINTS:
            raise ModelError(f"{network.path} knows {len(keypoints)} joints, not COCO's 17")
        points = [[*map(float, xy), float(s)] for xy, s in zip(keypoints, scores, strict=True)]
        people.append(np.array(points, np.float32))
    return people
