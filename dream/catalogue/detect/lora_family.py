"""Detects which model family a LoRA is for, and its rank, from its header.

Sources: the layers' names as kohya's, XLabs' and diffusers' trainers write them, the width of the
text that cross-attention reads (768, 1024 or 2048), and the metadata of kohya's trainer and of
modelspec.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from dream.catalogue.detect.headers import Header
from dream.catalogue.detect.tensors import TensorHeader

_CALLED = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "Stable Diffusion XL",
    "sd3": "Stable Diffusion 3",
    "flux": "FLUX.1",
    "flux2": "FLUX.2",
    "z-image": "Z-Image",
    "qwen-image": "Qwen-Image",
    "wan": "Wan, a video model",
}

_WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}

_ATTN2_IN = re.compile(r".*attn2[._]to_[kv](_lora)?\b.*(down\.weight|lora_A\.(default\.)?weight)")
_TEXT_IN = re.compile(r"(lora_te_|text_encoder\.).*mlp[._]fc1.*(down\.weight|lora_A\.weight)")

_NAMED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (family, re.compile(pattern))
    for family, pattern in (
        ("flux2", r".*double_stream_modulation|.*single_transformer_blocks.*to_qkv_mlp_proj"),
        ("flux", r".*(double_blocks|single_blocks|single_transformer_blocks)[._]\d"),
        ("sd3", r".*joint_blocks[._]\d|transformer\..*attn\.add_q_proj.*(?<!lora)$"),
        ("z-image", r".*(noise_refiner|context_refiner)[._]\d|.*layers[._]\d+[._]attention[._]"),
        ("qwen-image", r".*transformer_blocks[._]\d+[._](img_mlp|txt_mlp|img_mod|txt_mod)"),
        ("wan", r".*blocks[._]\d+[._](self_attn|cross_attn)[._]"),
        ("sdxl", r"lora_te2_|text_encoder_2\."),
        ("sdxl", r"lora_unet_(input|output|middle)_block.*transformer_blocks_[2-9]"),
        ("sdxl", r".*transformer_blocks[._]([2-9]|\d\d)[._]attn"),
    )
)
"""The first row with a matching tensor name is used."""

_METADATA = (
    ("modelspec.architecture", "stable-diffusion-xl", "sdxl"),
    ("modelspec.architecture", "stable-diffusion-v1", "sd1"),
    ("modelspec.architecture", "stable-diffusion-v2", "sd2"),
    ("modelspec.architecture", "stable-diffusion-3", "sd3"),
    ("modelspec.architecture", "flux-2", "flux2"),
    ("modelspec.architecture", "flux", "flux"),
    ("ss_base_model_version", "sdxl", "sdxl"),
    ("ss_base_model_version", "sd_v1", "sd1"),
    ("ss_base_model_version", "sd_v2", "sd2"),
    ("ss_base_model_version", "sd3", "sd3"),
    ("ss_base_model_version", "flux1", "flux"),
)
"""Key, beginning of its value, family."""

_RANKED = re.compile(r".*(lora[_.]down\.weight|lora_A\.(default\.)?weight|hada_w1_b|lokr_w2_b)")


def detect_lora_family(header: Header) -> str:
    """ "sd1", "sd2", "sdxl", "sd3", "flux", "flux2", "z-image", "qwen-image" or "wan"; empty if the
    header does not say."""
    names = header.tensors
    for family, pattern in _NAMED:
        if any(map(pattern.match, names)):
            return family
    if family := _by_width(header.tensors):
        return family
    for key, start, family in _METADATA:
        if header.metadata.get(key, "").startswith(start):
            return family
    return ""


def _by_width(tensors: Mapping[str, TensorHeader]) -> str:
    for pattern in (_ATTN2_IN, _TEXT_IN):
        for name, tensor in tensors.items():
            if len(tensor.shape) in (2, 4) and pattern.fullmatch(name):
                return _WIDTHS.get(tensor.shape[1], "")
    return ""


def describe_family(family: str) -> str:
    """A family as a message names it."""
    return _CALLED.get(family, family)


def find_rank(tensors: Mapping[str, TensorHeader]) -> int:
    """The rank of most of a LoRA's layers; 0 if it has none."""
    ranks: Counter[int] = Counter()
    for name, tensor in tensors.items():
        if tensor.shape and _RANKED.fullmatch(name):
            ranks[tensor.shape[0]] += 1
    return ranks.most_common(1)[0][0] if ranks else 0
