"""`dream --doctor`: one page about this installation, and what to do where it is broken.

Nothing heavy is imported here; versions are read from the packages' metadata, and what has to be
tried is tried in a process of its own.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import platformdirs
import psutil

import dream
from dream.catalogue import ModelRegistry, find_models_dirs
from dream.catalogue.auxiliary import AUXILIARY_MODELS, find_auxiliary
from dream.config.settings_file import find_settings_files
from dream.core.cli_options import CliOptions
from dream.core.errors import DreamError
from dream.core.request import Request
from dream.worker.device_probe import DeviceReport, probe_device

PACKAGES = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "realesrgan",
    "basicsr",
    "numpy",
    "scipy",
    "pillow",
    "prompt_toolkit",
    "chafa.py",
)
"""What `dream` needs, by distribution name."""

OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python")
"""Any of them will do."""

_GIB = 2**30
_WIDE = 16
_LATER = "fetched when it is first asked for"


def build_report(launch: CliOptions, base: Request) -> tuple[str, bool]:
    """The page, and whether all is well."""
    broken: list[str] = []
    checkup = probe_device(launch.device, launch.precision)
    sections = {
        "versions": [*_versions(broken)],
        "machine": [*_machine(checkup)],
        **_shelf(launch, broken),
        "folders": [*_folders(base, broken)],
    }
    broken += checkup.broken
    page = [f"dream {dream.__version__}"]
    for title, lines in sections.items():
        page += ["", title, *(f"  {line}" for line in lines)]
    page += ["", "broken" if broken else "all is well", *(f"  {line}" for line in broken)]
    return "\n".join(page), not broken


def _versions(broken: list[str]) -> Iterator[str]:
    yield _row("python", f"{platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        version = _version(package)
        yield _row(package, version or "missing")
        if not version:
            broken.append(f"{package} is not installed: pip install {package}")
    found = {package: version for package in OPENCV if (version := _version(package))}
    yield _row("opencv", ", ".join(f"{version} ({name})" for name, version in found.items()))
    if not found:
        broken.append(f"OpenCV is not installed: pip install {OPENCV[0]}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine(checkup: DeviceReport) -> Iterator[str]:
    memory = psutil.virtual_memory()
    yield _row("memory", _of(memory.available, memory.total))
    yield _row("device", checkup.device or "unknown")
    if checkup.memory:
        yield _row("its memory", _of(*checkup.memory))
    if checkup.small == checkup.large:
        yield _row("because", checkup.small or "torch does not start, see below")
    else:
        yield _row("small models", checkup.small)
        yield _row("large models", checkup.large)


def _of(free: int, total: int) -> str:
    return f"{total / _GIB:.1f} GiB, {free / _GIB:.1f} available"


def _shelf(launch: CliOptions, broken: list[str]) -> dict[str, list[str]]:
    """The sections about models, upscalers, and the folders they lie in."""
    try:
        shelf = ModelRegistry(find_models_dirs(launch.models_dir))
        default = shelf.get_default_model()
    except DreamError as error:
        broken.append(str(error))
        return {"models": ["none"]}
    broken += shelf.check_models()
    return {
        "models": [
            _row(card.name, f"{card.width} x {card.height}  {card.path}")
            + ("  (the default)" if card.name == default else "")
            for card in shelf.list_models()
        ],
        "upscalers": [
            _row(card.name, str(card.path) if card.is_on_disk else _LATER)
            for card in shelf.list_upscalers()
        ],
        "models that look at pictures": [
            _row(helper.name, str(find_auxiliary(helper, shelf.models_dirs) or _LATER))
            for helper in AUXILIARY_MODELS
        ],
        "models are looked for in": list(map(str, shelf.models_dirs)),
    }


def _folders(base: Request, broken: list[str]) -> Iterator[str]:
    folders = {
        "pictures": base.folder,
        "your models": platformdirs.user_data_path("dream", appauthor=False),
        "cache": platformdirs.user_cache_path("dream", appauthor=False),
    }
    for name, folder in folders.items():
        refusal = _refusal(folder)
        yield _row(name, f"{folder.absolute()}  ({refusal or 'can be written'})")
        if refusal:
            broken.append(f"{folder.absolute()} cannot be written: {refusal}")
    for file in find_settings_files():
        yield _row("settings", f"{file.absolute()}  ({'read' if file.is_file() else 'not there'})")


def _refusal(folder: Path) -> str:
    """Why nothing can be written into a folder, or into what it would be made in; or nothing."""
    standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=standing):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _row(name: str, what: str) -> str:
    return f"{name:{_WIDE - 2}}  {what}"


__all__ = ["build_report"]
