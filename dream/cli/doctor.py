"""`dream --doctor`: report on this installation, with a solution for each problem.

No heavy package is imported here: versions come from package metadata, and devices are tested in a
separate process.
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
from dream.catalogue.face_models import find_face_detector, list_face_models
from dream.config.settings_file import find_settings_files, is_ignored
from dream.core.cli_options import CliOptions
from dream.core.errors import DreamError
from dream.core.file_names import path_exists_at
from dream.core.request import Request
from dream.options.engine_table import ENGINES
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
"""The packages that `dream` needs, by distribution name."""

OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python")
"""Any one of these is enough."""

_GIB = 2**30
_WIDTH = 16
_NOT_DOWNLOADED = "downloaded on first use"


def build_report(launch: CliOptions, base: Request) -> tuple[str, bool]:
    """Return the report, and whether there are no problems."""
    problems: list[str] = []
    checkup = probe_device(launch.device, launch.precision)
    sections = {
        "versions": [*_versions(problems)],
        "machine": [*_machine(checkup)],
        **_list_models(launch, problems),
        "folders": [*_folders(base, problems)],
    }
    problems += checkup.broken
    sections["problems" if problems else "no problems found"] = problems
    page = [f"dream {dream.__version__}"]
    for title, lines in sections.items():
        page += ["", title, *(f"  {line}" for line in lines)]
    return "\n".join(page), not problems


def _versions(problems: list[str]) -> Iterator[str]:
    yield _row("python", f"{platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        version = _version(package)
        yield _row(package, version or "missing")
        if not version:
            problems.append(f"{package} is not installed: pip install {package}")
    opencv = {package: version for package in OPENCV if (version := _version(package))}
    yield _row("opencv", ", ".join(f"{version} ({name})" for name, version in opencv.items()))
    if not opencv:
        problems.append(f"OpenCV is not installed: pip install {OPENCV[0]}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine(checkup: DeviceReport) -> Iterator[str]:
    memory = psutil.virtual_memory()
    yield _row("memory", _format_memory(memory.available, memory.total))
    yield _row("device", checkup.device or "unknown")
    if checkup.memory:
        yield _row("device memory", _format_memory(*checkup.memory))
    if checkup.small == checkup.large:
        yield _row("reason", checkup.small or "torch does not start, see below")
    else:
        yield _row("small models", checkup.small)
        yield _row("large models", checkup.large)
    yield _row("--engine", ", ".join(n for n, row in ENGINES.items() if not row.find_missing()))


def _format_memory(free: int, total: int) -> str:
    return f"{total / _GIB:.1f} GiB, {free / _GIB:.1f} available"


def _list_models(launch: CliOptions, problems: list[str]) -> dict[str, list[str]]:
    """The sections about models, upscalers, auxiliary models and models folders."""
    try:
        registry = ModelRegistry(find_models_dirs(launch.models_dir))
        default = registry.get_default_model()
    except DreamError as error:
        problems.append(str(error))
        return {"models": ["none"]}
    problems += registry.check_models()
    return {
        "models": [
            _row(info.name, f"{info.width} x {info.height}  {info.path}")
            + ("  (the default)" if info.name == default else "")
            for info in registry.list_models()
        ],
        "upscalers": [
            _row(info.name, str(info.path) if info.is_on_disk else _NOT_DOWNLOADED)
            for info in registry.list_upscalers()
        ],
        "faces": [
            _row(model.name, str(model.path) if model.is_on_disk else _NOT_DOWNLOADED)
            for model in (
                *list_face_models(registry.models_dirs).values(),
                find_face_detector(registry.models_dirs, offline=False),
            )
        ],
        "auxiliary models": [
            _row(model.name, str(find_auxiliary(model, registry.models_dirs) or _NOT_DOWNLOADED))
            for model in AUXILIARY_MODELS
        ],
        "models folders": list(map(str, registry.models_dirs)),
    }


def _folders(base: Request, problems: list[str]) -> Iterator[str]:
    folders = {
        "images": base.folder,
        "your models": platformdirs.user_data_path("dream", appauthor=False),
        "cache": platformdirs.user_cache_path("dream", appauthor=False),
    }
    for name, folder in folders.items():
        error = _find_write_error(folder)
        yield _row(name, f"{folder.absolute()}  ({error or 'writable'})")
        if error:
            problems.append(f"{folder.absolute()} is not writable: {error}")
    for file in find_settings_files():
        yield _row("settings", f"{file.absolute()}  ({_describe_settings_file(file)})")


def _describe_settings_file(file: Path) -> str:
    """A file that exists was read, or there would be no report."""
    if is_ignored(file):
        return "not a regular file: ignored"
    if path_exists_at(file):
        return "read"
    if file.is_symlink():
        return f"a link to {file.readlink()}, which does not exist"
    return "does not exist"


def _find_write_error(folder: Path) -> str:
    """The reason why a folder, or the folder it would be created in, is not writable; or empty."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _row(name: str, what: str) -> str:
    return f"{name:{_WIDTH - 2}}  {what}"


__all__ = ["build_report"]
