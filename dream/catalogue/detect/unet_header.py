"""Reads from the header of a UNet, or of what is added to one's layers, how wide its text and its
levels are.

Sources: the layers' names as CompVis', diffusers', lllyasviel's and Tencent's programs write them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from dream.catalogue.detect.tensors import TensorHeader

Tensors = Mapping[str, TensorHeader]


class UNetWidths(NamedTuple):
    """The sizes that a UNet and a model for its layers have in common."""

    text: int = 0
    """Numbers in each vector of the text (or of the image prompt) that cross-attention reads: 768
    for Stable Diffusion 1; 0 without one, or if unknown."""
    levels: tuple[int, ...] = ()
    """Channels of its levels, from the outermost, each number once in a row: (320, 640, 1280) for
    Stable Diffusion 1, 2 and XL; empty if unknown."""

    def fits(self, other: UNetWidths) -> bool:
        """Whether nothing that both say differs. One may have fewer levels."""
        same_text = 0 in (self.text, other.text) or self.text == other.text
        return same_text and all(
            one == two for one, two in zip(self.levels, other.levels, strict=False)
        )

    def describe_difference(self, other: UNetWidths) -> str:
        """How these widths differ from a model's, which they do not fit, in words that go on after
        “is a ControlNet”."""
        if 0 not in (self.text, other.text) and self.text != other.text:
            return f"whose text has a width of {self.text}; the model's has {other.text}"
        own, its = (", ".join(map(str, one.levels)) for one in (self, other))
        return f"whose levels have {own} channels; the model's have {its}"


UNKNOWN_WIDTHS = UNetWidths()

FAMILIES_BY_TEXT = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Families of models, by the width of the text that their cross-attention reads."""

_TEXT = re.compile(r".*(attn2\.to_k\.(weight|down)|\.to_k_ip\.weight)")
_LEVELS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(.+\.)?input_blocks\.\d+\.0\.in_layers\.2\.weight",
        r"(.+\.)?down_blocks\.\d+\.resnets\.\d+\.conv1\.weight",
        r"(adapter\.)?body\.\d+\.out_conv\.weight",  # a light T2I-Adapter; the next is inside it
        r"(adapter\.)?body\.\d+\.(resnets\.\d+\.)?block1\.weight",
    )
)
"""Convolutions whose output has the channels of their level; the first that matches is used."""


def find_unet_widths(tensors: Tensors) -> UNetWidths:
    """The widths of a UNet, a ControlNet, a T2I-Adapter or an IP-Adapter, as far as its header has
    them."""
    return UNetWidths(_find_text_width(tensors), _find_levels(tensors))


def _find_text_width(tensors: Tensors) -> int:
    for name, tensor in tensors.items():
        if len(tensor.shape) == 2 and _TEXT.fullmatch(name):
            return tensor.shape[1]
    return 0


def _find_levels(tensors: Tensors) -> tuple[int, ...]:
    for pattern in _LEVELS:
        found = {
            tuple(map(int, re.findall(r"\d+", name))): tensor.shape[0]
            for name, tensor in tensors.items()
            if len(tensor.shape) == 4 and pattern.fullmatch(name)
        }
        if found:
            return list_levels([found[place] for place in sorted(found)])
    return ()


def list_levels(channels: Sequence[int]) -> tuple[int, ...]:
    """The channels of levels or of their layers, from the outermost, each number once in a row."""
    return tuple(width for width, _ in groupby(channels))
