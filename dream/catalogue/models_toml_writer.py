"""Edits models.toml; comments and everything else in it stay as they are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.models_toml import FILE_NAME
from dream.core import bounded_reading as reading
from dream.core.errors import ModelError
from dream.core.file_names import path_exists_at
from dream.core.own_files import edit_locked, rewrite

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


_HEADER = re.compile(
    r"""^([ \t]*\[[ \t]*models[ \t]*\.[ \t]*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)([ \t]*[].])""",
    re.MULTILINE,
)
"""`[models.NAME]`: the text before the name, the name as it is spelled, and the closing bracket."""


def set_values(dirs: Sequence[Path], name: str, values: Mapping[str, Any]) -> Path:
    """Write values into a model's entry, which is created if needed; None removes a value. The
    first file with the entry is changed, else the first writable one. Returns the file's path.

    `path` is written relative if it is below the file's folder. If the model becomes the default,
    `default` is removed from the other entries of the file. Raises ModelError for a file that
    cannot be read or written.
    """
    file = _find_file(dirs, name)
    with _locked(file) as target:
        document = _read(file)
        models = _table(document, "models", file)
        entry = _table(models, name, file)
        if values.get("default"):
            for other in models.values():
                if isinstance(other, dict):
                    other.pop("default", None)
        for key, value in values.items():
            if value is None:
                entry.pop(key, None)
            else:
                entry[key] = (
                    _relative_path(value, file.parent) if isinstance(value, Path) else value
                )
        rewrite(target, document.as_string())
    return file


def rename_entry(dirs: Sequence[Path], old: str, new: str, path: Path) -> Path:
    """Rename the model at `path`: its entries keep their position, values and comments; an entry is
    created if needed. The old name still works. Returns the path of the changed file. Raises
    ModelError."""
    before: list[str] = []
    for file, target in _lock_each(dirs, old):
        before += _read(file)["models"][old].get("formerly", [])
        rewrite(target, _rename_in_text(file, old, new))
    formerly = [name for name in dict.fromkeys([*before, old]) if name != new]
    return set_values(dirs, new, {"path": path, "formerly": formerly})


def _rename_in_text(file: Path, old: str, new: str) -> str:
    """The file's text with only the model's headers changed; without headers (dotted keys), with
    the entry moved to the end."""
    import tomlkit

    document = _read(file)
    text = document.as_string()
    key = tomlkit.key(new).as_string()

    def header(match: re.Match[str]) -> str:
        name = next(iter(tomllib.loads(f"{match[2]} = 0")))
        return f"{match[1]}{key}{match[3]}" if name == old else match[0]

    changed = _HEADER.sub(header, text)
    models = document["models"]
    models[new] = models.pop(old)
    with suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(changed) == document.unwrap():
            return changed
    return document.as_string()


def remove_entry(dirs: Sequence[Path], name: str) -> bool:
    """Remove a model's entries from all files. Returns whether there was one. Raises ModelError."""
    changed = False
    for file, target in _lock_each(dirs, name):
        document = _read(file)
        del document["models"][name]
        rewrite(target, document.as_string())
        changed = True
    return changed


def _lock_each(dirs: Sequence[Path], name: str) -> Iterator[tuple[Path, Path]]:
    """Each file that has the model's entry, and the path to write it to, locked while the caller
    has it. Raises ModelError."""
    for file in (folder / FILE_NAME for folder in dirs):
        if _has_entry(file, name):
            with _locked(file) as target:
                if _has_entry(file, name):  # another program may have removed it meanwhile
                    yield file, target


def _table(parent: Any, name: str, file: Path) -> Any:
    """The table of that name, created if needed. Raises ModelError if it is not a table."""
    import tomlkit

    table = parent.setdefault(name, tomlkit.table(is_super_table=name == "models"))
    if not isinstance(table, dict):
        raise ModelError(f"{file}: {name} is not a table", "write [models.NAME]")
    return table


def _find_file(dirs: Sequence[Path], name: str) -> Path:
    having = (folder for folder in dirs if _has_entry(folder / FILE_NAME, name))
    return next(having, find_writable_dir(dirs)) / FILE_NAME


def _has_entry(file: Path, name: str) -> bool:
    models = _read(file).get("models")
    return isinstance(models, dict) and name in models


def _read(file: Path) -> TOMLDocument:
    # Imported late: only commands that edit need it.
    import tomlkit

    try:
        if not path_exists_at(file):
            return tomlkit.document()
        return tomlkit.parse(reading.read_editable_toml(file))
    except Exception as error:  # tomlkit's own errors, and those of odd numbers and dates
        reason = reading.explain_error(error)
        raise ModelError(f"{file} cannot be read: {reason}", "fix or move the file") from error


@contextmanager
def _locked(file: Path) -> Iterator[Path]:
    """Lock the file against edits by other programs until the block ends. Raises ModelError."""
    try:
        with edit_locked(file) as target:
            yield target
    except OSError as error:
        raise ModelError(f"{file} cannot be written: {error.strerror or error}") from error


def _relative_path(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder)
    return (path.relative_to(folder) if inside else path).as_posix()
