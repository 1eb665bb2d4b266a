"""dream.toml: defaults for every line, and for every launch.

A line's open choices are filled from, the strongest first: the line itself, launch flags, the
dream.toml of the current folder, the one in the user's config folder, the model's card.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from dream.errors import BadSetting
from dream.launch import LAUNCH_FLAGS, Launch
from dream.line import read_setting
from dream.request import FLAGS, Request

FILE = "dream.toml"

_SAID_AT_LAUNCH = frozenset({"prompt", "from_file", "verify", "doctor", "version", "help"})


def settings_files() -> tuple[Path, ...]:
    """The files that may hold settings, the weakest first."""
    return (platformdirs.user_config_path("dream") / FILE, Path(FILE))


def read_settings(files: Iterable[Path]) -> tuple[Launch, Request]:
    """The defaults these files set, later ones over earlier ones; missing files set none.

    Raises BadSetting naming file, key and what is allowed there.
    """
    said: dict[str, Any] = {}
    for file in files:
        if file.is_file():
            said |= _read(file)
    return (
        Launch(**{name: said[name] for name in said if name in LAUNCH_FLAGS}),
        Request(**{name: said[name] for name in said if name in FLAGS}),
    )


def _read(file: Path) -> Mapping[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSetting(f"{file}: {error}", "mend or move the file") from None
    said = {}
    for key, value in table.items():
        try:
            name, meant = read_setting(key, value)
        except BadSetting as error:
            raise BadSetting(f"{file}: {error.message}", error.hint) from None
        if name in _SAID_AT_LAUNCH:
            raise BadSetting(f"{file}: {name} is said at launch, not in {FILE}")
        said[name] = meant
    return said
