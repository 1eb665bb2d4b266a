"""Folders in diffusers layout that another library has quantized, and needs to read."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import torch

from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

PACKAGES = {
    "bitsandbytes": "bitsandbytes",
    "sdnq": "sdnq",
    "torchao": "torchao",
    "quanto": "optimum-quanto",
    "modelopt": "nvidia-modelopt",
    "auto-round": "auto-round",
    "gptq": "gptqmodel",
    "awq": "gptqmodel",
}
"""`quant_method` in a component's configuration → the package on PyPI that reads it."""
_MODULES = {"optimum-quanto": "optimum.quanto", "nvidia-modelopt": "modelopt"}
"""Names of modules that differ from their package's."""
_REGISTERED = ("sdnq",)
"""Packages that add themselves to diffusers when they are imported."""
_ON_GPUS = {"bitsandbytes": ("diffusers",)}
"""Packages → the libraries that use them on a GPU only. bitsandbytes itself can do without, and
transformers lets it."""
_NUNCHAKU = ("svdquant", "nunchaku", "nunchaku_lite")
"""Methods whose weights diffusers computes with code that it downloads and runs, on NVIDIA's GPUs.
The package of that name on PyPI is something else."""


def require_packages(folder: Path, libraries: Mapping[str, str]) -> None:
    """Check that what quantized these components, library by name, can read them here, and let it
    register itself. Raises ModelError, which names what is missing."""
    for part, library in libraries.items():
        method = _quant_method(folder / part / "config.json")
        if not method:
            continue
        if method in _NUNCHAKU:
            raise ModelError(
                f"{folder}: its {part} is quantized with SVDQuant (nunchaku), which would need code"
                " from the network to run",
                "use a folder that is not quantized, or an nf4, fp8 or GGUF file of this model",
            )
        if (package := PACKAGES.get(method)) is None:
            raise ModelError(f"{folder}: its {part} is quantized in a way that is not supported")
        module = _MODULES.get(package, package.replace("-", "_"))
        if not _is_installed(module):
            raise ModelError(
                f"{folder}: its {part} is quantized with {package}, which is not installed",
                f"pip install {package}, or use a folder or file that is not quantized",
            )
        if library in _ON_GPUS.get(package, ()) and not _has_gpu():
            raise ModelError(
                f"{folder}: its {part} is quantized with {package}, which needs a GPU",
                "use a folder or file that is not quantized, or a GGUF or fp8 file",
            )
        if package in _REGISTERED:
            importlib.import_module(module)


def _quant_method(config: Path) -> str:
    """The name of a component's quantization; empty if it is not quantized."""
    with suppress(OSError, ValueError, AttributeError):
        method = read_json(config).get("quantization_config", {}).get("quant_method", "")
        return str(method).lower()
    return ""


def _has_gpu() -> bool:
    """Whether there is one that bitsandbytes uses."""
    return torch.cuda.is_available() or torch.xpu.is_available() or torch.mps.is_available()


def _is_installed(module: str) -> bool:
    with suppress(ImportError, ValueError):
        return find_spec(module) is not None
    return False
