"""The values of `--engine`, `--decoder` and `--upscale_precision`: what computes networks, and how.

`engine.backends` runs the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

AUTO, TORCH, OPENVINO, COMPILE = "auto", "torch", "openvino", "compile"

COMPILERS = ("g++", "clang++", "c++", "cl")
"""C++ compilers that torch.compile looks for."""


class EngineRow(NamedTuple):
    """What computes the networks."""

    title: str
    find_missing: Callable[[], str]
    """What it needs and this machine lacks; empty if nothing."""
    hint: str
    """What to do about that."""


def _nothing() -> str:
    return ""


def _openvino() -> str:
    from importlib.util import find_spec  # imported late: the prompt starts without it

    return "" if find_spec("openvino") else "the package openvino, which is not installed"


def _compiler() -> str:
    from shutil import which

    if any(map(which, COMPILERS)):
        return ""
    return "a C++ compiler, and this machine has none"


ENGINES: Mapping[str, EngineRow] = MappingProxyType(
    {
        TORCH: EngineRow("PyTorch, as it is", _nothing, ""),
        OPENVINO: EngineRow(
            "Intel's OpenVINO, for CPUs; converts each model once",
            _openvino,
            'install it with pip install "dream-prompt[openvino]", or use --engine torch',
        ),
        COMPILE: EngineRow(
            "torch.compile of the denoiser's repeated blocks; compiles once for each model",
            _compiler,
            "install g++ or clang, or use --engine torch",
        ),
    }
)
"""By the value in the line and in the log. AUTO chooses one of them."""

FULL_DECODER, SMALL_DECODER, AUTO_DECODER = "full", "taesd", "auto"
DECODERS = (FULL_DECODER, SMALL_DECODER, AUTO_DECODER)


class DecoderLayout(NamedTuple):
    """A small decoder by O. Boer Bohan, https://github.com/madebyollin/taesd."""

    title: str
    channels: int
    """Of its latents."""


SMALL_DECODERS = {
    "taesd": DecoderLayout("TAESD", 4),
    "taesdxl": DecoderLayout("TAESDXL", 4),
    "taesd3": DecoderLayout("TAESD3", 16),
    "taef1": DecoderLayout("TAEF1", 16),
}
"""By `Family.decoder`. Those of FLUX.2 and of Wan and Qwen-Image have other architectures."""

DEFAULT_PRECISION = "auto"
"""float32 on a CPU and on Apple's GPUs, on NVIDIA's float16 if the network supports it."""
BFLOAT16 = "bfloat16"
