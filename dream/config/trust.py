"""Limits what the dream.toml of the current folder, which someone else may have written, can do.

It can set anything for images in that folder. If it makes dream read models from or write images to
a place outside, the user is asked once, as git and direnv do, and the answer is stored in the
user's state folder: for this folder, this setting and this place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from dream.config.settings_file import FILE, read_settings
from dream.core.cli_options import CliOptions
from dream.core.errors import BadSetting
from dream.core.file_names import parse_path, split_folders
from dream.core.own_files import open_own, read_own
from dream.core.request import Request

_OPTIONS = {"outdir": "-o FOLDER", "models_dir": "--models_dir FOLDER"}


@dataclass(frozen=True)
class OutsideSetting:
    """A setting of the current folder that points outside it."""

    field: str
    """`outdir` or `models_dir`."""
    source: str
    """What sets it: dream.toml, or a folder that is a link."""
    place: Path
    """The target, with links resolved."""

    @property
    def text(self) -> str:
        """What it does, as a message."""
        does = {"outdir": "writes images to", "models_dir": "reads models from"}[self.field]
        text = f"{self.source} {does} {self.place}, which is outside this folder"
        return "".join(char if char.isprintable() else "�" for char in text)

    @property
    def refusal(self) -> BadSetting:
        """The error if the user cannot be asked, or answered no."""
        return BadSetting(
            self.text,
            f"start dream in this folder in a terminal and answer y, or use {_OPTIONS[self.field]}",
        )

    def _mark(self) -> str:
        key = "\0".join((os.path.realpath(os.curdir), self.field, str(self.place)))
        return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def find_outside_settings(
    options: tuple[CliOptions, Request], files: Sequence[Path]
) -> tuple[OutsideSetting, ...]:
    """The settings of the current folder that point outside it and were not allowed yet. `options`
    are those of the command line alone, which the user typed; `files` are the settings files, of
    which the last is the current folder's. Raises BadSetting."""
    launch, base = read_settings(files[-1:])
    others = read_settings(files[:-1])[1]
    settings = []
    if options[1].outdir is None and (base.outdir is not None or others.outdir is None):
        source = FILE if base.outdir is not None else f"the link in {base.folder}"
        settings.append(OutsideSetting("outdir", source, _real(base.folder)))
    if options[0].models_dir is None and launch.models_dir is not None:
        settings += [
            OutsideSetting("models_dir", FILE, _real(parse_path(folder)))
            for folder in split_folders(launch.models_dir)
        ]
    here = _real(Path())
    known = _allowed()
    return tuple(
        one for one in settings if not one.place.is_relative_to(here) and one._mark() not in known
    )


def allow(elsewhere: OutsideSetting) -> None:
    """Store that the user allowed this. Raises OSError if that cannot be written."""
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{elsewhere._mark()}\n".encode())
    finally:
        os.close(file)


def _allowed() -> set[str]:
    try:
        return set(read_own(_file()).decode(errors="replace").split())
    except OSError:
        return set()


def _file() -> Path:
    return user_state_path("dream", appauthor=False) / "allowed"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
