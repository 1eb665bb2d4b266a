"""The class of each pixel of an image, in the colours of ADE20K."""

from __future__ import annotations

import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.vision.control_maps.ade20k import CLASSES, colour_classes
from dream.engine.vision.control_maps.map_network import MapNetwork, resize_values


def draw_areas(network: MapNetwork, image: Image.Image) -> Image.Image:
    """The classes of an RGB image. Raises ModelError for a network that knows others."""
    scores = _score_classes(network, image)  # (1, 150, h, w)
    if scores.shape[1] != CLASSES:
        raise ModelError(
            f"{network.path} knows {scores.shape[1]} classes, not ADE20K's {CLASSES}",
            "remove it from the models folder, or use a ready-made map with --control_raw",
        )
    sized = resize_values(scores, image.size)
    return Image.fromarray(colour_classes(sized[0].argmax(0).cpu().numpy()))


def _score_classes(network: MapNetwork, image: Image.Image) -> torch.Tensor:
    """(1, classes, h, w). Networks that answer with masks (OneFormer, Jain et al. 2022,
    arXiv:2211.06220; Mask2Former, Cheng et al. 2021, arXiv:2112.01527): each mask counts for every
    class as much as it is of that class; the last class is none."""
    found = network.look(image)
    if (masks := getattr(found, "masks_queries_logits", None)) is None:
        scores: torch.Tensor = found.logits.float()
        return scores
    classes = found.class_queries_logits.float().softmax(-1)[..., :-1]
    return torch.einsum("bqc,bqhw->bchw", classes, masks.float().sigmoid())
