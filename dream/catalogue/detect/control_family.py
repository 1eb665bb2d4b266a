"""Detects which model family a control file is for, from its header: a ControlNet, a control-LoRA,
a T2I-Adapter or an IP-Adapter.

Sources: the layers' names as lllyasviel's, Stability's, Tencent's, XLabs', InstantX', Alibaba's,
DiffSynth's and diffusers' trainers write them, and the width of the text that cross-attention
reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from dream.catalogue.detect.unet_header import (
    FAMILIES_BY_TEXT,
    Tensors,
    UNetWidths,
    find_unet_widths,
)

CONTROLNET, UNION, CONTROL_LORA = "controlnet", "controlnet union", "control-lora"
T2I_ADAPTER, IP_ADAPTER = "t2i-adapter", "ip-adapter"
CONTROL_FILE_KINDS = (CONTROLNET, UNION, CONTROL_LORA, T2I_ADAPTER)
"""The kinds of file that make a model follow a control image."""

_SDXL_SIZES = 2816
"""Width of SDXL's sizes and pooled text; its small ControlNets have no cross-attention."""

_NAMED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (family, re.compile(pattern))
    for family, pattern in (
        (
            "sd3",
            r"pos_embed_input\.proj\.|joint_blocks\.|transformer_blocks\.\d+\.adaLN_modulation\.",
        ),
        ("z-image", r"control_(layers|noise_refiner|all_x_embedder)\."),
        ("qwen-image", r"txt_norm\.|transformer_blocks\.\d+\.(img|txt)_mod\."),
        ("qwen-image", r"controlnet_blocks\.\d+\.[xy]_rms\."),
        ("flux", r"ip_adapter_proj_model\.|(double_blocks|single_transformer_blocks)\."),
        ("flux", r"controlnet_(x_embedder|mode_embedder|blocks)\."),
    )
)
"""The first row with a matching tensor name is used."""

_SIZES = re.compile(r".*(label_emb\.0\.0|add_embedding\.linear_1)\.(weight|down)")
_T2I_INPUT = re.compile(r"(adapter\.)?conv_in\.weight")
T2I_INPUTS = {64: (1, 8), 192: (3, 8), 256: (1, 16), 768: (3, 16)}
"""Of a T2I-Adapter: the channels of the control image, gray or RGB, and the side of the squares
whose pixels become channels, by the channels of its first convolution."""
_T2I_FAMILIES = {8: "sd1", 16: "sdxl"}
"""By the side of those squares."""

_IMAGE_PROJECTIONS = (
    ("faceid plus", "image_proj.perceiver_resampler."),
    ("faceid", "ip_adapter.0.to_q_lora."),
    ("plus", "image_proj.latents"),
    ("full face", "image_proj.proj.3."),
    ("plain", "image_proj.proj.weight"),
    ("plain", "ip_adapter_proj_model."),
    ("faceid", "image_proj.proj.2."),
)
"""Kinds of IP-Adapter, by the beginning of a tensor's name; the first match is used."""


class ControlDetails(NamedTuple):
    """What else the header of a control model says."""

    types: int
    """How many kinds of control image a union was trained on; else 0."""
    plain: bool
    """Whether its layers have diffusers' names, not those of the program that it was trained with.
    """
    widths: UNetWidths
    titles: tuple[str, ...]
    """In its metadata."""


_MODES = ("task_embedding", "controlnet_mode_embedder.weight")
_DIFFUSERS_NAMES = ("down_blocks.", "adapter.", "transformer_blocks.", "control_layers.")
_TITLES = ("modelspec.title", "title")


def read_control_details(tensors: Tensors, metadata: Mapping[str, str]) -> ControlDetails:
    """The details of a control model, from its header."""
    modes = (tensors[name].shape for name in _MODES if name in tensors)
    return ControlDetails(
        types=next((shape[0] for shape in modes if shape), 0),
        plain=any(name.startswith(_DIFFUSERS_NAMES) for name in tensors),
        widths=find_unet_widths(tensors),
        titles=tuple(metadata.get(key, "") for key in _TITLES),
    )


def detect_control_family(kind: str, tensors: Tensors) -> str:
    """ "sd1", "sd2", "sdxl", "sd3", "flux", "qwen-image" or "z-image"; empty if the header does not
    say, as for models of unusual widths."""
    if kind == T2I_ADAPTER:
        return _t2i_family(tensors)
    for family, pattern in _NAMED:
        if any(map(pattern.match, tensors)):
            return family
    if width := find_unet_widths(tensors).text:
        return FAMILIES_BY_TEXT.get(width, "")
    for name, tensor in tensors.items():
        if len(tensor.shape) == 2 and _SIZES.fullmatch(name):
            return "sdxl" if tensor.shape[1] == _SDXL_SIZES else ""
    return ""


def _t2i_family(tensors: Tensors) -> str:
    for name, tensor in tensors.items():
        if len(tensor.shape) == 4 and _T2I_INPUT.fullmatch(name):
            _, side = T2I_INPUTS.get(tensor.shape[1], (0, 0))
            return _T2I_FAMILIES.get(side, "")
    return "sd1"  # there are light adapters for it only


def detect_image_projection(tensors: Tensors) -> str:
    """Which kind of IP-Adapter: "plain", "plus", "full face", "faceid", "faceid plus"; empty if
    unknown."""
    return next(
        (
            kind
            for kind, start in _IMAGE_PROJECTIONS
            if any(name.startswith(start) for name in tensors)
        ),
        "",
    )
