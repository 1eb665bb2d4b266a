"""Finds upscalers: the ones known by name, and files and folders in the models folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from dream.catalogue.discovery import (
    INDEX,
    is_diffusion_upscaler,
    list_snapshots,
    list_with_suffix,
)
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.model_info import UpscalerInfo
from dream.catalogue.walk_files import is_file, list_matches
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp

FOLDER = "upscalers"
"""The subfolder of a models folder in which files are found by name, and into which they are
downloaded. Folders in diffusers layout may also be in the models folder itself."""

SUFFIXES = (".pth", ".safetensors", ".pt", ".ckpt", ".bin")
"""In lower or upper case. The format is detected from the content."""

_RELEASE_URL = "https://github.com/xinntao/Real-ESRGAN/releases/download"


@dataclass(frozen=True)
class KnownUpscaler:
    """An upscaler known by name. Real-ESRGAN does not publish checksums; these are the ones that
    independent packagers of the same release files agree on."""

    name: str
    description: str
    release: str = ""
    sha256: str = ""
    size: int = 0
    """Bytes."""
    hub: str = ""
    """`owner/name` on the hub, for a diffusion upscaler."""

    @property
    def file_name(self) -> str:
        """The name of its file or folder when it is downloaded."""
        return self.name if self.hub else f"{self.name}.pth"

    def info_at(self, path: Path) -> UpscalerInfo:
        """The UpscalerInfo, for a file or folder that is or will be at `path`."""
        release = f"{_RELEASE_URL}/{self.release}/{self.name}.pth" if self.release else ""
        return UpscalerInfo(
            name=self.name,
            path=path,
            diffusion=bool(self.hub),
            description=self.description,
            url=self.hub or release,
            sha256=self.sha256,
            size=self.size,
        )


KNOWN_UPSCALERS = (
    KnownUpscaler("tiny-x4", "comes with dream, for the images of its own model"),
    KnownUpscaler(
        "realesr-general-x4v3",
        "Real-ESRGAN, small and fast, for all kinds of images",
        "v0.2.5.0",
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        4_885_111,
    ),
    KnownUpscaler(
        "RealESRGAN_x4plus",
        "Real-ESRGAN, large and slow, for photographs",
        "v0.1.0",
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        67_040_989,
    ),
    KnownUpscaler(
        "RealESRGAN_x2plus",
        "Real-ESRGAN, large, 2x",
        "v0.2.1",
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        67_061_725,
    ),
    KnownUpscaler(
        "RealESRGAN_x4plus_anime_6B",
        "Real-ESRGAN for drawings",
        "v0.2.2.4",
        "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        17_938_799,
    ),
    KnownUpscaler(
        "x4-diffusion",
        "Stable Diffusion's x4 upscaler: slow, uses the prompt, adds new detail",
        hub="stabilityai/stable-diffusion-x4-upscaler",
    ),
)


def find_upscalers(dirs: Sequence[Path]) -> dict[str, UpscalerInfo]:
    """Every upscaler on disk or known by name. If two files have the same name, the one in the
    first models folder is used."""
    known = {row.name: row for row in KNOWN_UPSCALERS}
    known |= {row.hub.partition("/")[2]: row for row in KNOWN_UPSCALERS if row.hub}
    infos: dict[str, UpscalerInfo] = {}
    for name, path in (*_files(dirs), *_folders(dirs)):
        row = known.get(name)
        info = row.info_at(path) if row else replace(info_from_path(path), name=name)
        infos.setdefault(info.name, info)
    target = find_writable_dir(dirs) / FOLDER
    for row in KNOWN_UPSCALERS:
        infos.setdefault(row.name, row.info_at(target / row.file_name))
    return infos


def info_from_path(path: Path) -> UpscalerInfo:
    """The UpscalerInfo of a file or folder that is not known by name."""
    if path.is_dir():
        return UpscalerInfo(name=path.name, path=path, diffusion=True)
    return UpscalerInfo(name=path.stem, path=path)


def info_outside_dirs(path: Path) -> UpscalerInfo:
    """The UpscalerInfo of a file or folder outside the models folders; its path is its name."""
    return replace(info_from_path(path), name=str(path))


def is_upscaler(path: Path) -> bool:
    """Whether a path may be an upscaler: a file by its suffix, a folder by its index. Raises
    OSError."""
    return path.is_file() if path.suffix.lower() in SUFFIXES else is_diffusion_upscaler(path)


def architecture_of(info: UpscalerInfo) -> str:
    """The architecture of an upscaler on disk: “ESRGAN”, “SwinIR” …, or “diffusion”. Takes a few
    milliseconds, from the file's header. Raises ModelError for a file that is not an upscaler, with
    what it is, and for a pickle that would run code."""
    if info.diffusion:
        return "diffusion"
    return _detect_architecture(info.path, get_file_stamp(info.path))


@lru_cache(maxsize=256)
def _detect_architecture(path: Path, stamp: object) -> str:
    from dream.catalogue.detect import classify, read_header  # imported late
    from dream.catalogue.detect.model_kinds import describe_kind, get_usage_hint
    from dream.catalogue.detect.require import refuse_unsafe
    from dream.catalogue.detect.upscaler_architectures import describe_other, find_architecture

    header = read_header(path)
    detected, names = classify(header), header.tensors
    refuse_unsafe(detected)
    if architecture := find_architecture(names):
        return architecture
    if other := describe_other(names):
        raise ModelError(f"{path} is {other}, not an upscaler")
    if detected.kind == "upscaler":
        return "unknown architecture"
    hint = (
        get_usage_hint(detected.kind)
        or "use one of Real-ESRGAN's files, or one that spandrel supports"
    )
    raise ModelError(f"{path} is {describe_kind(detected.kind)}, not an upscaler", hint)


def _folders(dirs: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Names and paths of diffusion upscalers in `upscalers/`, directly in a models folder, or in a
    hub cache."""
    for folder in dirs:
        for place in (folder / FOLDER, folder):
            for index in list_matches(place, f"*/{INDEX}"):
                if is_diffusion_upscaler(index.parent):
                    yield index.parent.name, index.parent
        for name, snapshot in list_snapshots(folder):
            if is_diffusion_upscaler(snapshot):
                yield name, snapshot


def _files(dirs: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Names and paths of files in `upscalers/`, in a folder of the file's own name (the shipped
    one), and of .pth files in a hub cache."""
    for folder in dirs:
        for path in list_matches(folder, "*/*"):
            expected = path.parent.name in (FOLDER, path.stem)
            if expected and path.suffix.lower() in SUFFIXES and is_file(path):
                yield path.stem, path
        for _, snapshot in list_snapshots(folder):
            for path in list_with_suffix(snapshot, "*", SUFFIXES[:1]):
                yield path.stem, path
