"""The values of `--decoder`, and the latents that small decoders are known for."""

from __future__ import annotations

from typing import NamedTuple

FULL_DECODER, SMALL_DECODER, AUTO_DECODER = "full", "taesd", "auto"
DECODERS = (FULL_DECODER, SMALL_DECODER, AUTO_DECODER)


class SmallDecoder(NamedTuple):
    """A small decoder by O. Boer Bohan, https://github.com/madebyollin/taesd."""

    title: str
    channels: int
    """Of its latents."""


SMALL_DECODERS = {
    "taesd": SmallDecoder("TAESD", 4),
    "taesdxl": SmallDecoder("TAESDXL", 4),
    "taesd3": SmallDecoder("TAESD3", 16),
    "taef1": SmallDecoder("TAEF1", 16),
}
"""By `Family.decoder`. Those of FLUX.2 and of Wan and Qwen-Image have other architectures."""
