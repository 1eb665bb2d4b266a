"""--quantize: quantizes a model's layers while they are loaded.

The formats are those that files have too (`loading.formats`), so that what is in memory is decoded
in the same way; the encoders give llama.cpp's bits, which a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from dream.catalogue.detect.gguf_types import QUANTIZED
from dream.engine.loading.encoded_tensor import CHUNK, Codec, EncodedTensor
from dream.engine.loading.formats.fp8_and_int8 import FLOAT8
from dream.engine.loading.formats.gguf_blocks import codec_of
from dream.engine.memory.device import Placement
from dream.options.quantize_table import NO_QUANTIZATION, QUANTIZATIONS

LAYERS = (nn.Linear, nn.Conv2d)
"""The layers that are quantized."""

_SKIPPED_MODELS = "Autoencoder"
"""In the names of classes that are not quantized: an image would lose its details."""
_SKIPPED_LAYERS = re.compile(
    r"(^|\.)(conv_in|conv_out|pos_embed|patch_embed|x_embedder)\b|^proj_out$"
)
"""The first and last layers of a denoiser, which are small and sensitive."""


class _Encoder(NamedTuple):
    codec: Callable[[], Codec]
    encode: Callable[[torch.Tensor], torch.Tensor]
    """Numbers in float32, (groups, numbers in a group), to (groups, bytes)."""


def _encode_fp8(groups: torch.Tensor) -> torch.Tensor:
    return groups.to(torch.float8_e4m3fn).view(torch.uint8)


def _encode_q8_0(groups: torch.Tensor) -> torch.Tensor:
    """quantize_row_q8_0_ref of ggml-quants.c."""
    scale = groups.abs().amax(1, keepdim=True) / 127
    inverse = torch.where(scale == 0, 0, 1 / scale)
    numbers = _round_half_away(groups * inverse).to(torch.int8)
    return torch.cat([scale.to(torch.float16).view(torch.uint8), numbers.view(torch.uint8)], 1)


def _encode_q4_0(groups: torch.Tensor) -> torch.Tensor:
    """quantize_row_q4_0_ref of ggml-quants.c."""
    furthest = groups.abs().argmax(1, keepdim=True)
    scale = groups.gather(1, furthest) / -8
    inverse = torch.where(scale == 0, 0, 1 / scale)
    numbers = (groups * inverse + 8.5).trunc().clamp(0, 15).to(torch.uint8)
    low, high = numbers.chunk(2, 1)
    return torch.cat([scale.to(torch.float16).view(torch.uint8), low | high << 4], 1)


def _round_half_away(numbers: torch.Tensor) -> torch.Tensor:
    whole = numbers.abs().floor()
    return (whole + (2 * (numbers.abs() - whole)).floor()) * numbers.sign()


_ENCODERS: Mapping[str, _Encoder] = {
    "fp8": _Encoder(lambda: FLOAT8[torch.float8_e4m3fn], _encode_fp8),
    "int8": _Encoder(lambda: codec_of(QUANTIZED["Q8_0"]), _encode_q8_0),
    "int4": _Encoder(lambda: codec_of(QUANTIZED["Q4_0"]), _encode_q4_0),
}
"""By the rows of `options.quantize_table`."""


@dataclass(frozen=True)
class BytesToEncode:
    """What a weight's bytes will be once it is quantized; stands for them while it is loaded."""

    weight: torch.Tensor
    """In its file."""
    how: str
    shape: torch.Size
    """Of the bytes: (rows, bytes of a row)."""

    @property
    def nbytes(self) -> int:
        """Bytes that are read."""
        return self.weight.nbytes

    def write(self, out: torch.Tensor) -> torch.Tensor:
        """Quantize into `out`, of uint8 and this shape; returns it."""
        group, encode = QUANTIZATIONS[self.how].group, _ENCODERS[self.how].encode
        rows = self.weight.reshape(len(self.weight), -1)
        many = max(1, CHUNK // max(1, rows.shape[1]))
        for row in range(0, len(rows), many):
            some = rows[row : row + many].to(torch.float32)
            out[row : row + many].copy_(encode(some.reshape(-1, group)).reshape(len(some), -1))
        return out


def is_quantized(model: Any, name: str, weight: torch.Tensor, placement: Placement) -> bool:
    """Whether this weight of a model is quantized when it is loaded."""
    if placement.quantize == NO_QUANTIZATION or _SKIPPED_MODELS in type(model).__name__:
        return False
    owner, _, last = name.rpartition(".")
    plain = weight.is_floating_point() and not isinstance(weight, EncodedTensor)
    if last != "weight" or not plain or _SKIPPED_LAYERS.search(owner):
        return False
    fits = weight.ndim and weight[0].numel() % QUANTIZATIONS[placement.quantize].group == 0
    return bool(fits) and isinstance(model.get_submodule(owner), LAYERS)


def plan(weight: torch.Tensor, how: str) -> tuple[EncodedTensor, BytesToEncode]:
    """The weight as it will be, without memory; and how its bytes are computed."""
    row = QUANTIZATIONS[how]
    size = int(weight[0].numel() * row.bits / 8)
    codec = _ENCODERS[how].codec()
    raw = torch.empty((len(weight), size), dtype=torch.uint8, device="meta")
    part = raw.view(codec.dtypes[0])
    return EncodedTensor(codec, (part,), weight.shape), BytesToEncode(weight, how, raw.shape)
