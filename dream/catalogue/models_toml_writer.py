"""models.toml, changed as a careful person would: what else stands in it, comments too, stays."""

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
from dream.core.own_files import edit_locked, rewrite

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


_HEADER = re.compile(
    r"""^([ \t]*\[[ \t]*models[ \t]*\.[ \t]*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)([ \t]*[].])""",
    re.MULTILINE,
)
"""`[models.NAME]`: what comes before the name, the name as it is spelled, and what closes it."""


def set_values(dirs: Sequence[Path], name: str, values: Mapping[str, Any]) -> Path:
    """Write values into a model's entry, which is made if there is none; None takes one out. Of
    several files, the first that has the entry is changed, or else the first that can be. Its path.

    `path` is kept relative when it lies below the file's folder. A model that becomes the default
    takes that from the others in the file. Raises ModelError for a file that cannot be read or
    written.
    """
    file = _file_of(dirs, name)
    with _edited(file) as target:
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
                entry[key] = _short(value, file.parent) if isinstance(value, Path) else value
        rewrite(target, document.as_string())
    return file


def rename_entry(dirs: Sequence[Path], old: str, new: str, path: Path) -> Path:
    """Call the model at `path` otherwise: its entries keep their places, values and comments; there
    is one if there was none. The former name goes on being understood. The path of the file that
    says so. Raises ModelError."""
    before: list[str] = []
    for file in (folder / FILE_NAME for folder in dirs):
        if not _has(file, old):
            continue
        with _edited(file) as target:
            before += _read(file)["models"][old].get("formerly", [])
            rewrite(target, _renamed(file, old, new))
    formerly = [name for name in dict.fromkeys([*before, old]) if name != new]
    return set_values(dirs, new, {"path": path, "formerly": formerly})


def _renamed(file: Path, old: str, new: str) -> str:
    """The file's text with the model's headers changed, and nothing else; where there are none, as
    with dotted keys, with the entry moved to the end."""
    import tomlkit

    document = _read(file)
    text = document.as_string()
    key = tomlkit.key(new).as_string()

    def header(found: re.Match[str]) -> str:
        its = next(iter(tomllib.loads(f"{found[2]} = 0")))
        return f"{found[1]}{key}{found[3]}" if its == old else found[0]

    changed = _HEADER.sub(header, text)
    models = document["models"]
    models[new] = models.pop(old)
    with suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(changed) == document.unwrap():
            return changed
    return document.as_string()


def remove_entry(dirs: Sequence[Path], name: str) -> bool:
    """Take a model's entries out of all files; whether there was one. Raises ModelError."""
    found = False
    for file in (folder / FILE_NAME for folder in dirs):
        if not _has(file, name):
            continue
        with _edited(file) as target:
            document = _read(file)
            del document["models"][name]
            rewrite(target, document.as_string())
        found = True
    return found


def _table(parent: Any, name: str, file: Path) -> Any:
    """The table of that name, made if there is none. Raises ModelError for another thing."""
    import tomlkit

    table = parent.setdefault(name, tomlkit.table(is_super_table=name == "models"))
    if not isinstance(table, dict):
        raise ModelError(f"{file}: {name} is not a table", "write [models.NAME]")
    return table


def _file_of(dirs: Sequence[Path], name: str) -> Path:
    having = (folder for folder in dirs if _has(folder / FILE_NAME, name))
    return next(having, find_writable_dir(dirs)) / FILE_NAME


def _has(file: Path, name: str) -> bool:
    if not file.is_file():
        return False
    models = _read(file).get("models")
    return isinstance(models, dict) and name in models


def _read(file: Path) -> TOMLDocument:
    # Late, for only a command that edits needs it.
    import tomlkit

    try:
        if not file.is_file():
            return tomlkit.document()
        return tomlkit.parse(reading.read_editable_toml(file))
    except Exception as error:  # the parser's own kinds, and whatever odd numbers and dates make
        said = reading.explain_error(error)
        raise ModelError(f"{file} cannot be read: {said}", "mend it, or move it away") from error


@contextmanager
def _edited(file: Path) -> Iterator[Path]:
    """The file itself, where no other program edits it until the block ends. Raises ModelError."""
    try:
        with edit_locked(file) as target:
            yield target
    except OSError as error:
        raise ModelError(f"{file} cannot be written: {error.strerror or error}") from error


def _short(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder)
    return (path.relative_to(folder) if inside else path).as_posix()
