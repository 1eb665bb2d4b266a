"""Control maps by networks: depth, surface normals, and the poses of people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.vision.control_maps.map_network import MapNetwork, resize_values
from dream.engine.vision.control_maps.skeleton import Points, draw_skeletons

Depth = NDArray[np.float32]
"""(h, w) in 0..1: the greater, the nearer."""

_METRIC = ("zoedepth",)
"""Models that answer with distances: the greater, the farther."""
_MOST_PEOPLE = 20
_PERSON, _PERSON_SCORE = 0, 0.3
_COCO_JOINTS = 17


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


def draw_poses(detector: MapNetwork, network: MapNetwork, image: Image.Image) -> Image.Image:
    """The people in an RGB image as OpenPose's skeletons; black where there are none."""
    boxes = _find_people(detector, image)
    return draw_skeletons(_find_joints(network, image, boxes) if boxes else [], image.size)


def _estimate_depth(network: MapNetwork, image: Image.Image) -> Depth:
    predicted = network.look(image).predicted_depth[:, None].float()  # (1, 1, h, w)
    depth = resize_values(predicted, image.size)[0, 0].cpu().numpy()
    metric = getattr(network.model.config, "depth_estimation_type", "") == "metric"
    if metric or network.kind in _METRIC:
        depth = -depth
    least, most = float(depth.min()), float(depth.max())
    if not most > least:
        return np.zeros_like(depth)
    return np.asarray((depth - least) / (most - least), np.float32)


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
