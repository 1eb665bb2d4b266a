"""Real-ESRGAN's own networks on a tile, without what its result does not need.

A tile is given with its surroundings, as wide as the network's receptive field. Each layer needs
less of them than the one before; a network's own `forward` computes all of them in all layers. The
pixels are the same, bit for bit, on a CPU with channels in full blocks: for others, the order in
which a convolution adds can depend on a tile's size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dream.postprocess.basicsr_compat import RRDBNet, SRVGGNetCompact

_EVERY = 4
"""Pixels by which a tile shrinks at a time: cropping copies it."""

_BLOCK = 16
"""Channels that oneDNN's convolutions compute at once; fewer, on older processors."""

_TAIL = 3
"""Pixels around a tile that an RRDBNet's last layers need: two 3x3 convolutions after enlarging,
and two while it is enlarged, twice by 2."""


class Margins(NamedTuple):
    """The pixels around a tile on each side; 0 at the image's border."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def limit(self, most: int) -> Margins:
        """The same, none above this."""
        return Margins(*(min(side, most) for side in self))

    def scale(self, by: int) -> Margins:
        """The same in an image that is larger."""
        return Margins(*(side * by for side in self))

    def shrink(self, by: int) -> Margins:
        """The same in an image that is smaller."""
        return Margins(*(side // by for side in self))


def run_on_tile(network: nn.Module, around: Tensor, margins: Margins, scale: int) -> Tensor:
    """What the network makes of a tile. around: (1, 3, h, w), the tile and its margins; returns it
    without them, `scale` times as large."""
    if around.device.type == "cpu" and "forward" not in vars(network):  # which is another engine's
        if type(network) is SRVGGNetCompact and _has_full_blocks(network):
            return _run_compact(network, around, margins)
        if type(network) is RRDBNet and _has_full_blocks(network):
            return _run_rrdb(network, around, margins)
    return _crop(network(around), margins.scale(scale))


def has_exact_field(network: nn.Module, device: torch.device) -> bool:
    """Whether a network's pixels on this device are the same, bit for bit, wherever an image is cut
    into tiles that overlap by its receptive field."""
    is_own = "forward" not in vars(network)  # and not another engine's
    exact = type(network) is SRVGGNetCompact and _has_full_blocks(network)
    return device.type == "cpu" and is_own and exact


def _has_full_blocks(network: nn.Module) -> bool:
    body = network.get_submodule("body")
    convolutions = [layer for layer in body.modules() if isinstance(layer, nn.Conv2d)]
    return all(layer.out_channels % _BLOCK == 0 for layer in convolutions)


def _crop(image: Tensor, have: Margins, want: Margins = Margins()) -> Tensor:  # noqa: B008 - frozen
    top, bottom, left, right = (before - after for before, after in zip(have, want, strict=True))
    height, width = image.shape[2:]
    return image[:, :, top : height - bottom, left : width - right]


def _crop_copy(image: Tensor, have: Margins, want: Margins) -> Tensor:
    return _crop(image, have, want).contiguous(memory_format=torch.channels_last)


def _run_compact(network: Any, around: Tensor, margins: Margins) -> Tensor:
    found, have = around, margins
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in network.body)
    for layer in network.body:
        if isinstance(layer, nn.Conv2d):
            want = have.limit(convolutions)
            if max(have) - max(want) >= _EVERY:
                found, have = _crop_copy(found, have, want), want
            convolutions -= 1
        found = layer(found)
    made: Tensor = network.upsampler(_crop(found, have))
    made += interpolate(_crop(around, margins), scale_factor=network.upscale, mode="nearest")
    return made


def _run_rrdb(network: Any, around: Tensor, margins: Margins) -> Tensor:
    folded = {2: 2, 1: 4}.get(network.scale, 1)
    features = nn.functional.pixel_unshuffle(around, folded) if folded > 1 else around
    have = margins.shrink(folded)
    want = have.limit(_TAIL)
    features = network.conv_first(features)
    features = features + network.conv_body(network.body(features))
    features = _crop_copy(features, have, want)
    for layer in (network.conv_up1, network.conv_up2):
        features = network.lrelu(layer(interpolate(features, scale_factor=2, mode="nearest")))
    made: Tensor = network.conv_last(network.lrelu(network.conv_hr(features)))
    return _crop(made, want.scale(4))
