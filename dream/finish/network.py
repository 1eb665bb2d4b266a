"""From a file of weights to a network, without ever running what is in the file.

The architecture is recognised by the names and shapes of the tensors:
RRDBNet (Wang et al. 2018, arXiv:1809.00219; Real-ESRGAN, Wang et al. 2021, arXiv:2107.10833), and
its compact successor SRVGGNetCompact.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dream.errors import ModelError
from dream.finish.shim import RRDBNet, SRVGGNetCompact

Weights = Mapping[str, Tensor]

_PICKLES = (b"PK\x03\x04", b"\x80")
"""How torch's files begin: a zip archive since 2020, a bare pickle before."""

_LAYER = re.compile(r"body\.(\d+)\.weight")

_RRDB_REACH = 32
"""Pixels. By its layers an RRDBNet could see hundreds; with random weights it sees five.
Real-ESRGAN overlaps tiles by 10; trained networks see further than random ones, so this is more."""

_RRDB_SCALES = {3: 4, 12: 2, 48: 1}
"""Input channels → scale: the nets for 2 and 1 fold 2x2 and 4x4 pixels into channels first."""


@dataclass(frozen=True)
class Network:
    """A network that enlarges pictures, in float32 on the CPU, ready to run."""

    module: nn.Module
    """(1, 3, h, w) in 0..1 → (1, 3, h * scale, w * scale)."""
    scale: int
    reach: int
    """How far, in pixels of the input, what a pixel becomes depends on its surroundings."""


def load_network(path: Path) -> Network:
    """The network whose weights are in a .pth or .safetensors file.

    Raises ModelError when the file is damaged, holds something else, or would run code.
    """
    weights = read_weights(path)
    network = _rrdb(weights) or _compact(weights)
    if network is None:
        raise ModelError(
            f"{path} is no upscaler known here: neither RRDBNet nor SRVGGNetCompact,"
            f" by its {len(weights)} tensors",
            "take one of Real-ESRGAN's files",
        )
    try:
        # Assigned, not copied: the module was made without memory, and no random numbers drawn.
        network.module.load_state_dict(
            {name: tensor.float() for name, tensor in weights.items()}, strict=True, assign=True
        )
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is not whole: {detail}", "fetch the file again") from error
    network.module.requires_grad_(False).eval()
    return network


def _rrdb(weights: Weights) -> Network | None:
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
    return Network(module, scale, _RRDB_REACH)


def _compact(weights: Weights) -> Network | None:
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
    return Network(module, scale, reach=len(convs))  # each 3x3 convolution sees one pixel further


def read_weights(path: Path) -> Weights:
    """The tensors of a file by name. Raises ModelError, as `load_network` does."""
    found: Any = _load_safetensors(path) if path.suffix == ".safetensors" else _load_pickle(path)
    for key in ("params_ema", "params"):  # the average over the training, where there is one
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ModelError(f"{path} holds no network's weights", "take one of Real-ESRGAN's files")
    return found


def _load_safetensors(path: Path) -> Weights:
    """A .safetensors file, which can hold nothing but tensors."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no safetensors file, or damaged: {error}") from error


def _load_pickle(path: Path) -> Any:
    """A .pth file, of which only tensors and plain containers are taken.

    `weights_only` is said outright, so that no environment variable can turn it off.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
        if not head.startswith(_PICKLES):
            raise ModelError(f"{path} is no file of weights: it begins with {head!r}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: what counts is raised
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            raise ModelError(
                f"{path} is refused: it asks to run {wanted[1]} when it is opened",
                "a .safetensors file cannot do that",
            ) from error
        raise ModelError(f"{path} is refused: it holds more than weights") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, OSError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is damaged: {detail}", "fetch it again") from error
