"""From a file of weights to a network, without ever running what is in the file.

Real-ESRGAN's own two are built by its packages: RRDBNet (Wang et al. 2018, arXiv:1809.00219;
Real-ESRGAN, Wang et al. 2021, arXiv:2107.10833) and its compact successor SRVGGNetCompact. All
others are recognised and built by spandrel, from the names and shapes of the tensors alone.
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

_LAYER = re.compile(r"body\.(\d+)\.weight")

REACH = 32
"""Pixels. By its layers an RRDBNet could see hundreds; with random weights it sees five.
Real-ESRGAN overlaps tiles by 10; trained networks see further than random ones, so this is more.
For networks that look at windows of attention it is a few windows."""

_GROWTH = 32
"""Channels that each layer of an RRDBNet adds; spandrel builds older layouts with no other."""

_OLD_GROWTH = ("model.1.sub.0.RDB1.conv1.0.weight", "RRDB_trunk.0.RDB1.conv1.weight")

_RRDB_SCALES = {3: 4, 12: 2, 48: 1}
"""Input channels → scale: the nets for 2 and 1 fold 2x2 and 4x4 pixels into channels first."""


@dataclass(frozen=True)
class UpscalerNetwork:
    """A network that enlarges pictures, in float32 on the CPU, ready to run."""

    module: nn.Module
    """(1, 3, h, w) in 0..1 → (1, 3, h * scale, w * scale)."""
    scale: int
    receptive_field: int
    """How far, in pixels of the input, what a pixel becomes depends on its surroundings."""
    half: bool = True
    """Whether float16 will do."""


def load_network(path: Path) -> UpscalerNetwork:
    """The network whose weights are in a file, safetensors or torch's, whatever its suffix.

    Raises ModelError when the file is damaged, holds something else, or would run code.
    """
    weights = read_upscaler_weights(path)
    network = _real_esrgan(path, weights) or _by_spandrel(path, weights)
    network.module.requires_grad_(False).eval()
    return network


def _real_esrgan(path: Path, weights: Weights) -> UpscalerNetwork | None:
    """One of Real-ESRGAN's own; None for others, some of which have nearly the same names."""
    network = _rrdb(weights) or _compact(weights)
    if network is None:
        return None
    try:
        # Assigned, not copied: the module was made without memory, and no random numbers drawn.
        network.module.load_state_dict(
            {name: tensor.float() for name, tensor in weights.items()}, strict=True, assign=True
        )
    except RuntimeError:
        return None
    return network


def _rrdb(weights: Weights) -> UpscalerNetwork | None:
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
    return UpscalerNetwork(module, scale, REACH)


def _compact(weights: Weights) -> UpscalerNetwork | None:
    layers = {int(m[1]): weights[m[0]] for m in map(_LAYER.fullmatch, weights) if m}
    convs = [layer for layer in layers.values() if layer.ndim == 4]
    slopes = [layer for layer in layers.values() if layer.ndim == 1]
    if len(convs) < 2 or len(slopes) != len(convs) - 1:  # a learnt slope (PReLU) after all but one
        return None
    features, scale = convs[0].shape[0], math.isqrt(layers[max(layers)].shape[0] // 3)
    if scale < 1:
        return None
    with torch.device("meta"):
        module = SRVGGNetCompact(3, 3, features, len(convs) - 2, scale, "prelu")
    return UpscalerNetwork(
        module, scale, receptive_field=len(convs)
    )  # each 3x3 convolution sees one pixel further


@contextmanager
def _alone(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Nobody else's random numbers are drawn, and what only spandrel's authors can mend is not
    said."""
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Described(nn.Module):
    """A network of spandrel, for colours: whatever its channels and the sizes that it takes."""

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.network = made.model
        self._made = made

    def forward(self, rgb: Tensor) -> Tensor:
        """(1, 3, h, w) in 0..1 → (1, 3, h * scale, w * scale). Grey networks see each channel, and
        those with transparency an opaque picture. What is drawn is the same in every run."""
        devices = [rgb.device] if rgb.device.type == "cuda" else []
        with _alone(devices):
            torch.manual_seed(0)
            match self._made.input_channels:
                case 1:
                    return torch.cat([self._run(rgb[:, n : n + 1])[:, :1] for n in range(3)], 1)
                case 3:
                    return self._run(rgb)
                case more:
                    opaque = rgb.new_ones(1, more - 3, *rgb.shape[2:])
                    return self._run(torch.cat([rgb, opaque], 1))

    def _run(self, image: Tensor) -> Tensor:
        made: Tensor = self._made(image)[:, :3]
        return made


def _by_spandrel(path: Path, weights: Weights) -> UpscalerNetwork:
    """Raises ModelError for what it does not know, and for what it does and is no upscaler."""
    import spandrel  # of use to few files only

    if other := describe_other(weights):
        raise ModelError(f"{path} is {other}, and no upscaler")
    growth = next((weights[name].shape[0] for name in _OLD_GROWTH if name in weights), _GROWTH)
    if growth != _GROWTH:
        raise ModelError(
            f"{path} is an RRDBNet of ESRGAN's older layout whose blocks grow by {growth} channels,"
            f" where only {_GROWTH} is supported"
        )
    try:
        with _alone():
            made = spandrel.ModelLoader().load_from_state_dict(dict(weights)).eval().float()
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"{path} is no upscaler that is known here, by its {len(weights)} tensors",
            "take one of Real-ESRGAN's files, or of an architecture that spandrel supports",
        ) from error
    except Exception as error:  # each architecture fails in a way of its own
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"{path} is not whole: {detail}", "fetch the file again") from error
    usable = isinstance(made, spandrel.ImageModelDescriptor) and made.purpose != "FaceSR"
    if not usable or made.input_channels not in (1, 3, 4) or made.output_channels not in (1, 3, 4):
        raise ModelError(f"{path} is {made.architecture.name}, which enlarges no whole pictures")
    return UpscalerNetwork(_Described(made), made.scale, REACH, made.supports_half)
