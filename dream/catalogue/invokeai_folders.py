"""InvokeAI's models since version 6: a folder for each, named by a UUID, in its models folder.

Their names and types are in its database, which is read without writing to it, as any file that
somebody else made: in bounded time and memory, and what is odd in it is ignored. Without it, the
header of the file in a folder says what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dream.core.errors import ModelError
from dream.core.plain_text import make_printable

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DATABASE = "databases/invokeai.db"
_WEIGHTS = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
_INDEX = "model_index.json"

_MAX_FOLDERS = 2000
_MAX_ROWS = 5000
_MAX_CONFIG = 65_536
"""Characters of one row's configuration."""
_MAX_NAME = 100
_MAX_VALUE = 32 << 20
"""Bytes of the longest value that SQLite may build."""
_MAX_STEPS = 50
"""Times 100,000 instructions of SQLite's machine: half a second."""

_TYPES = {
    "model": "main",
    "vae": "vae",
    "lora": "lora",
    "embedding": "embedding",
    "controlnet": "controlnet",
    "t2i-adapter": "t2i_adapter",
    "ip-adapter": "ip_adapter",
    "text encoder": "text_encoder",
    "vision encoder": "clip_vision",
}
"""Kinds of files that headers tell → InvokeAI's types."""


class Installed(NamedTuple):
    """A model of InvokeAI."""

    folder: Path
    type: str
    """As InvokeAI calls it, "main", "vae", "lora" …; empty if nothing says."""
    name: str
    """In its database; else empty."""


def list_installed(models: Path) -> tuple[Installed, ...]:
    """What is in the folders with UUIDs for names in a models folder; usually nothing."""
    folders: list[Path] = []
    with suppress(OSError):
        folders = sorted(path for path in models.iterdir() if is_uuid(path.name))
    if not folders:
        return ()
    records = _read_records(models.absolute().parent / _DATABASE)
    return tuple(_describe(folder, records) for folder in folders[:_MAX_FOLDERS])


def is_uuid(name: str) -> bool:
    """Whether InvokeAI would call a folder so."""
    return _UUID.fullmatch(name) is not None


def get_shown_name(folder: Path) -> str:
    """A folder's name; of a folder of InvokeAI's, the one in its database, if it has one."""
    if not is_uuid(folder.name):
        return folder.name
    records = _read_records(folder.absolute().parent.parent / _DATABASE)
    return records.get(folder.name, ("", ""))[1] or folder.name


def get_listed_name(path: Path) -> str:
    """The name in InvokeAI's database of a file in one of its folders; empty if there is none."""
    shown = get_shown_name(path.parent)
    return "" if shown == path.parent.name else shown


def _describe(folder: Path, records: Mapping[str, tuple[str, str]]) -> Installed:
    kind, name = records.get(folder.name) or (_detect_type(folder), "")
    return Installed(folder, kind, name)


def _detect_type(folder: Path) -> str:
    from dream.catalogue.detect import detect  # where the database says it, it is not needed

    if (folder / _INDEX).is_file():
        return "main"
    with suppress(OSError, ModelError):
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _WEIGHTS)
        return _TYPES.get(detect(files[0]).kind, "") if files else ""
    return ""


def _read_records(database: Path) -> Mapping[str, tuple[str, str]]:
    """Type and name by UUID; none where the database cannot be read."""
    try:
        status = database.stat()
    except OSError:
        return {}
    return _query(database, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _query(database: Path, *stamps: int) -> Mapping[str, tuple[str, str]]:
    import sqlite3  # such databases are rare

    steps = iter(range(_MAX_STEPS))
    try:
        address = f"file:{quote(str(database))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
            connection.set_progress_handler(lambda: next(steps, None) is None, 100_000)
            rows = connection.execute(
                "SELECT substr(config, 1, ?) FROM models LIMIT ?", (_MAX_CONFIG, _MAX_ROWS)
            ).fetchall()
    except (sqlite3.Error, OSError, MemoryError, OverflowError):
        return {}
    return dict(filter(None, map(_read_row, rows)))


def _read_row(row: tuple[Any, ...]) -> tuple[str, tuple[str, str]] | None:
    """The UUID that a row's path begins with, and its type and name; None for another row."""
    try:
        config = json.loads(row[0])
        path, kind, name = (str(config[key]) for key in ("path", "type", "name"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    uuid = re.split(r"[/\\]", path)[0]
    if not is_uuid(uuid):
        return None
    shown = make_printable(re.sub(r"[/\\]", "-", name)[:_MAX_NAME]).strip()
    return uuid, (kind, shown)
