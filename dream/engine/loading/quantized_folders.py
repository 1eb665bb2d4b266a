"""Folders in diffusers layout that another library has quantized, and needs to read."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

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
    "svdquant": "nunchaku",
    "nunchaku": "nunchaku",
}
"""`quant_method` in a component's configuration → the package on PyPI that reads it."""
_MODULES = {"optimum-quanto": "optimum.quanto", "nvidia-modelopt": "modelopt"}
"""Names of modules that differ from their package's."""
_REGISTERED = ("sdnq",)
"""Packages that add themselves to diffusers when they are imported."""


def require_packages(folder: Path, parts: Iterable[str]) -> None:
    """Check that the libraries that quantized these components are installed, and let them register
    themselves. Raises ModelError, which names what is missing."""
    for part in parts:
        method = _quant_method(folder / part / "config.json")
        if not method:
            continue
        if (package := PACKAGES.get(method)) is None:
            raise ModelError(f"{folder}: its {part} is quantized in a way that is not supported")
        module = _MODULES.get(package, package.replace("-", "_"))
        if not _is_installed(module):
            raise ModelError(
                f"{folder}: its {part} is quantized with {package}, which is not installed",
                f"pip install {package}, or use a folder or file that is not quantized",
            )
        if package in _REGISTERED:
            importlib.import_module(module)


def _quant_method(config: Path) -> str:
    """The name of a component's quantization; empty if it is not quantized."""
    with suppress(OSError, ValueError, AttributeError):
        method = read_json(config).get("quantization_config", {}).get("quant_method", "")
        return str(method).lower()
    return ""


def _is_installed(module: str) -> bool:
    with suppress(ImportError, ValueError):
        return find_spec(module) is not None
    return False
