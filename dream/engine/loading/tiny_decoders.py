"""Reads small decoders of latents, by O. Boer Bohan, from diffusers' files or the author's: TAESD
and its siblings, https://github.com/madebyollin/taesd, and TAEHV,
https://github.com/madebyollin/taehv.

They decode latents as the denoiser has them, without the VAE's scale and shift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers.models.autoencoders.vae import DecoderTiny
from torch import nn

from dream.catalogue.detect.require import require_safe
from dream.core.errors import ModelError
from dream.engine.loading.checkpoint import open_tensors

_BLOCKS, _WIDTH = (3, 3, 3, 1), 64
_GROUPS = 4
_FILM_WIDTHS = (256, 128, 64, 64)


class TinyDecoder(NamedTuple):
    """A small decoder in memory."""

    network: nn.Module
    """Latents (B, C, h, w) to pixels (B, 3, 8h, 8w), about -1 to 1."""
    channels: int
    """Of its latents."""


def open_tiny_decoder(path: Path) -> TinyDecoder:
    """A decoder, on the CPU in float32. Raises ModelError for a file that is not one."""
    stored = open_tensors(path, require_safe(path).format).tensors
    tensors = _take_decoder(stored)
    first = tensors.get("0.weight")
    if first is None or first.ndim != 4:
        raise ModelError(f"{path} is not a small decoder", "download it again")
    channels = first.shape[1]
    try:
        network = _build(channels, tensors)
        network.load_state_dict({f"layers.{name}": t.float() for name, t in tensors.items()})
    except (RuntimeError, LookupError, ValueError) as error:
        raise ModelError(
            f"{path} is not a small decoder: its layers are not those of TAESD", "download it again"
        ) from error
    return TinyDecoder(network.eval(), channels)


def _take_decoder(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A decoder's weights by the numbers of its layers. The author's list begins with the clamp,
    which is no layer of diffusers'."""
    found = {}
    for name, tensor in stored.items():
        match = re.fullmatch(r"(?:(decoder\.layers|decoder|layers)\.)?(\d{1,3})\.(.+)", name)
        if match is not None:
            theirs = (match[1] or "").endswith("layers")
            found[f"{int(match[2]) - (not theirs)}.{match[3]}"] = tensor
    return found


def _build(channels: int, tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    if "6.conv.weight" in tensors:
        return _FilmDecoder(
            channels,
            [
                tensors[f"{6 * n + 6}.conv.weight"].shape[0] // width
                for n, width in enumerate(_FILM_WIDTHS[:-1])
            ],
        )
    if "2.pool.0.weight" in tensors:
        return _PooledDecoder(channels)
    taesd: nn.Module = DecoderTiny(channels, 3, _BLOCKS, (_WIDTH,) * 4, 2, "relu", "nearest")
    return taesd


def _conv(inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


def _convs(inputs: int, width: int) -> nn.Sequential:
    first, second, third = _conv(inputs, width), _conv(width, width), _conv(width, width)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)


class _Block(nn.Module):
    """A residual block; a pooled one sees the whole image (TAEF2)."""

    def __init__(self, width: int, *, pooled: bool) -> None:
        super().__init__()
        self.conv = _convs(width, width)
        wide = _GROUPS * width
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(width, wide, 1, bias=False),
                nn.GroupNorm(_GROUPS, wide),
                nn.ReLU(),
                nn.Conv2d(wide, width, 1, bias=False),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "pool"):
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _PooledDecoder(nn.Module):
    """TAEF2, of FLUX.2: TAESD, whose first blocks see the whole image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, _WIDTH), nn.ReLU()]
        for level, count in enumerate(_BLOCKS):
            layers += [_Block(_WIDTH, pooled=level == 0) for _ in range(count)]
            if level < len(_BLOCKS) - 1:
                layers += [nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)]
        self.layers = nn.Sequential(*layers, _conv(_WIDTH, 3))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return _to_pixels(self.layers(_clamp(latents)))


class _FrameBlock(nn.Module):
    """A residual block that also sees the frame before; before the first one, nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _convs(2 * width, width)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        before = torch.cat([torch.zeros_like(frames[:1]), frames[:-1]])
        return torch.relu(self.conv(torch.cat([frames, before], 1)) + frames)


class _MoreFrames(nn.Module):
    """Makes several frames of each."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width * stride, 1, bias=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        more: torch.Tensor = self.conv(frames)
        return more.reshape(-1, *frames.shape[1:])


class _FilmDecoder(nn.Module):
    """TAEHV (taew2_1, of Wan 2.1 and Qwen-Image), for one frame: of those that it makes of a film's
    first one, the last is the image."""

    def __init__(self, channels: int, strides: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, _FILM_WIDTHS[0]), nn.ReLU()]
        for (width, following), stride in zip(pairwise(_FILM_WIDTHS), strides, strict=True):
            layers += [_FrameBlock(width) for _ in range(3)]
            layers += [nn.Upsample(scale_factor=2), _MoreFrames(width, stride)]
            layers.append(_conv(width, following, bias=False))
        self.layers = nn.Sequential(*layers, nn.ReLU(), _conv(_FILM_WIDTHS[-1], 3))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.cat([_to_pixels(self.layers(_clamp(one[None])))[-1:] for one in latents])


def _clamp(latents: torch.Tensor) -> torch.Tensor:
    return torch.tanh(latents / 3) * 3


def _to_pixels(image: Any) -> torch.Tensor:
    """From 0..1 to -1..1."""
    pixels: torch.Tensor = image.mul(2).sub(1)
    return pixels
