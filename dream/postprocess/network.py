"""Builds an upscaler network from a weights file, without running any code in the file.

Real-ESRGAN's own two architectures are built by its packages: RRDBNet (Wang et al. 2018,
arXiv:1809.00219; Real-ESRGAN, Wang et al. 2021, arXiv:2107.10833) and the smaller SRVGGNetCompact.
All others are detected and built by spandrel, from the names and shapes of the tensors only.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dream.catalogue.detect.upscaler_architectures import describe_other
from dream.core.errors import ModelError
from dream.postprocess.basicsr_compat import RRDBNet, SRVGGNetCompact
from dream.postprocess.upscaler_weights import Weights, read_upscaler_weights

_LAYER_NAME = re.compile(r"body\.(\d+)\.weight")

RECEPTIVE_FIELD = 32
"""Receptive field in pixels. In theory an RRDBNet's is hundreds; with random weights it is five.
Real-ESRGAN overlaps tiles by 10; trained networks need more than random ones, so this is more. For
networks with windowed attention it is a few windows."""

_GROWTH_CHANNELS = 32
"""Channels that each layer of an RRDBNet adds; the only value spandrel supports in old layouts."""

_OLD_GROWTH_TENSORS = ("model.1.sub.0.RDB1.conv1.0.weight", "RRDB_trunk.0.RDB1.conv1.weight")

_RRDB_SCALES = {3: 4, 12: 2, 48: 1}
"""Input channels → scale: the networks for 2 and 1 first fold 2x2 and 4x4 pixels into channels."""


@dataclass(frozen=True)
class UpscalerNetwork:
    """An upscaler network, in float32 on the CPU, ready to run."""

    module: nn.Module
    """(1, 3, h, w) in 0..1 → (1, 3, h * scale, w * scale)."""
    scale: int
    receptive_field: int
    """How far a pixel of the result depends on its surroundings, in pixels of the input."""
    half: bool = True
    """Whether float16 is supported."""
    bfloat16: bool = True
    """Whether bfloat16 is supported."""


def load_network(path: Path) -> UpscalerNetwork:
    """Build the network of a weights file, safetensors or torch, detected from the content.

    Raises ModelError if the file is damaged, is not an upscaler, or would run code.
    """
    weights = read_upscaler_weights(path)
    network = _build_real_esrgan(path, weights) or _load_with_spandrel(path, weights)
    network.module.requires_grad_(False).eval()
    return network


def _build_real_esrgan(path: Path, weights: Weights) -> UpscalerNetwork | None:
    """One of Real-ESRGAN's own networks; None for others, some of which have similar names."""
    network = _build_rrdb(weights) or _build_compact(weights)
    if network is None:
        return None
    try:
        # Assigned, not copied: the module is on the meta device, so no random numbers are drawn.
        network.module.load_state_dict(
            {name: tensor.float() for name, tensor in weights.items()}, strict=True, assign=True
        )
    except RuntimeError:
        return None
    return network


def _build_rrdb(weights: Weights) -> UpscalerNetwork | None:
    first = weights.get("conv_first.weight")
    growth = weights.get("body.0.rdb1.conv1.weight")
    if first is None or growth is None or first.ndim != 4 or growth.ndim != 4:
        return None
    scale = _RRDB_SCALES.get(first.shape[1])
    if scale is None:
        return None
    blocks = {name.split(".")[1] for name in weights if name.startswith("body.")}
    with torch.device("meta"):
        module = RRDBNet(3, 3, scale, first.shape[0], len(blocks), growth.shape[0])
    return UpscalerNetwork(module, scale, RECEPTIVE_FIELD)


def _build_compact(weights: Weights) -> UpscalerNetwork | None:
    layers = {int(m[1]): weights[m[0]] for m in map(_LAYER_NAME.fullmatch, weights) if m}
    convs = [layer for layer in layers.values() if layer.ndim == 4]
    slopes = [layer for layer in layers.values() if layer.ndim == 1]
    if len(convs) < 2 or len(slopes) != len(convs) - 1:  # a learnt slope (PReLU) after all but one
        return None
    features, scale = convs[0].shape[0], math.isqrt(layers[max(layers)].shape[0] // 3)
    if scale < 1:
        return None
    with torch.device("meta"):
        module = SRVGGNetCompact(3, 3, features, len(convs) - 2, scale, "prelu")
    # each 3x3 convolution sees one pixel further
    return UpscalerNetwork(module, scale, receptive_field=len(convs))


@contextmanager
def isolated(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Keep torch's global random state, and suppress warnings that only spandrel's authors can
    fix."""
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _SpandrelNetwork(nn.Module):
    """A network of spandrel as an RGB network, whatever its channels and input sizes."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network = descriptor.model
        self._descriptor = descriptor

    def forward(self, rgb: Tensor) -> Tensor:
        """(1, 3, h, w) in 0..1 → (1, 3, h * scale, w * scale). Grey networks get each channel
        separately, and networks with alpha an opaque image. Random numbers are seeded with 0."""
        devices = [rgb.device] if rgb.device.type == "cuda" else []
        with isolated(devices):
            torch.manual_seed(0)
            match self._descriptor.input_channels:
                case 1:
                    return torch.cat([self._run(rgb[:, n : n + 1])[:, :1] for n in range(3)], 1)
                case 3:
                    return self._run(rgb)
                case more:
                    opaque = rgb.new_ones(1, more - 3, *rgb.shape[2:])
                    return self._run(torch.cat([rgb, opaque], 1))

    def _run(self, image: Tensor) -> Tensor:
        result: Tensor = self._descriptor(image)[:, :3]
        return result


def _load_with_spandrel(path: Path, weights: Weights) -> UpscalerNetwork:
    """Build a network with spandrel. Raises ModelError for unsupported files, and for networks that
    are not upscalers."""
    import spandrel  # imported late: few files need it

    if other := describe_other(weights):
        raise ModelError(f"{path} is {other}, not an upscaler")
    growth = next(
        (weights[name].shape[0] for name in _OLD_GROWTH_TENSORS if name in weights),
        _GROWTH_CHANNELS,
    )
    if growth != _GROWTH_CHANNELS:
        raise ModelError(
            f"{path} is an old ESRGAN (RRDBNet) with {growth} growth channels;"
            f" only {_GROWTH_CHANNELS} are supported"
        )
    try:
        with isolated():
            descriptor = spandrel.ModelLoader().load_from_state_dict(dict(weights)).eval().float()
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"{path} ({len(weights)} tensors) is not an upscaler of a supported architecture",
            "use one of Real-ESRGAN's files, or one that spandrel supports",
        ) from error
    except Exception as error:  # each architecture raises its own errors
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"{path} is incomplete: {detail}", "download the file again") from error
    usable = (
        isinstance(descriptor, spandrel.ImageModelDescriptor) and descriptor.purpose != "FaceSR"
    )
    if (
        not usable
        or descriptor.input_channels not in (1, 3, 4)
        or descriptor.output_channels not in (1, 3, 4)
    ):
        raise ModelError(
            f"{path} is {descriptor.architecture.name}, which does not upscale whole images"
        )
    return UpscalerNetwork(
        _SpandrelNetwork(descriptor),
        descriptor.scale,
        RECEPTIVE_FIELD,
        descriptor.supports_half,
        descriptor.supports_bfloat16,
    )
