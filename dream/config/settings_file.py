"""dream.toml: defaults for every line, and for every launch.

A value comes from the first of these that sets it: the line, command-line options, the dream.toml
of the current folder, the one in the user's config folder, the model's card.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from dream.core.cli_options import CLI_FLAGS, CliOptions
from dream.core.errors import BadSetting
from dream.core.file_names import path_exists_at
from dream.core.own_files import edit_locked, rewrite
from dream.core.request import FLAGS, Request
from dream.options.option_type import OptionType

FILE = "dream.toml"

_COMMAND_LINE_ONLY = frozenset(
    {
        *("prompt", "from_file", "verify", "doctor", "version", "help"),
        *("web", "token", "allow_host", "allow_origin"),  # a folder must not open a port
    }
)

_USER_ONLY = frozenset({"hub_mirror"})
"""A folder that someone else may have made must not say where models come from."""


def find_settings_files() -> tuple[Path, ...]:
    """The files that may contain settings, the lowest priority first."""
    return (platformdirs.user_config_path("dream") / FILE, Path(FILE))


def read_settings(files: Iterable[Path]) -> tuple[CliOptions, Request]:
    """The defaults in these files; later files override earlier ones, missing and ignored files
    are skipped.

    Raises BadSetting, which names the file, the key and what is allowed.
    """
    values: dict[str, Any] = {}
    for file in files:
        if path_exists_at(file) and not is_ignored(file):
            values |= _read(file)
    return (
        CliOptions(**{name: values[name] for name in values if name in CLI_FLAGS}),
        Request(**{name: values[name] for name in values if name in FLAGS}),
    )


def is_ignored(file: Path) -> bool:
    """Whether this is the current folder's file, which someone else may have made, and not a
    regular file: a pipe would never end."""
    return file == Path(FILE) and path_exists_at(file) and not file.is_file()


def settings_in(file: Path) -> tuple[str, ...]:
    """The names of the fields that a file sets; none if there is no file. Raises BadSetting."""
    return tuple(_read(file)) if path_exists_at(file) else ()


def _read(file: Path) -> Mapping[str, Any]:
    # A start without any dream.toml waits for neither.
    from dream.core import bounded_reading as reading
    from dream.line import parse_setting

    try:
        table = reading.read_toml(file)
    except (OSError, ValueError) as error:
        raise BadSetting(
            f"{file}: {reading.explain_error(error)}", "fix or remove this file"
        ) from None
    values = {}
    refused = {*_COMMAND_LINE_ONLY, *(_USER_ONLY if file == Path(FILE) else ())}
    for key, value in table.items():
        try:
            name, parsed = parse_setting(key, value)
        except BadSetting as error:
            raise BadSetting(f"{file}: {error.message}", error.hint) from None
        if name in refused:
            raise BadSetting(
                f"{file}: {name} is a command-line option and is not allowed in {FILE}",
                f"{find_settings_files()[0]} may set it" if name in _USER_ONLY else "",
            )
        values[name] = parsed
    return values


def save_settings(
    base: Request, files: Sequence[Path] | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Change the last of the files, by default the current folder's dream.toml, so that
    `read_settings` returns this base; comments and unrelated keys stay as they are.

    Returns the names of the fields that were changed; and of those that an earlier file sets and
    this one cannot unset. Raises BadSetting for a file that cannot be read or written.
    """
    files = find_settings_files() if files is None else files
    changed = _differing_fields(read_settings(files)[1], base)
    if changed:
        _write(files[-1], {name: getattr(base, name) for name in changed})
    left = _differing_fields(read_settings(files)[1], base)
    return tuple(name for name in changed if name not in left), left


def _differing_fields(one: Request, other: Request) -> tuple[str, ...]:
    names = (name for name in FLAGS if name not in _COMMAND_LINE_ONLY)
    return tuple(name for name in names if getattr(one, name) != getattr(other, name))


def _write(file: Path, changes: Mapping[str, Any]) -> None:
    """Write these values to the file; None removes a key."""
    import tomlkit  # imported late: slow, and not needed at the start

    from dream.core import bounded_reading as reading

    try:
        with edit_locked(file) as target:
            document = tomlkit.parse(
                reading.read_editable_toml(file) if path_exists_at(file) else ""
            )
            for field, value in changes.items():
                _change(document, field, value)
            rewrite(target, tomlkit.dumps(document))
    except Exception as error:  # the parser's own, and others for odd numbers and dates
        raise BadSetting(
            f"{file}: {reading.explain_error(error)}", "fix or remove this file"
        ) from None


def _change(document: MutableMapping[str, Any], field: str, value: Any) -> None:
    """Set a field under the first key that means it, and remove its other keys."""
    keys = [key for key in document if _means(key, field)] or [field]
    removed = value in (None, "")
    for key in keys if removed else keys[1:]:
        document.pop(key, None)
    if not removed:
        document[keys[0]] = _as_toml(value, FLAGS[field].kind)


def _means(key: str, field: str) -> bool:
    from dream.line import find_setting

    try:
        return find_setting(key) == field
    except BadSetting:
        return False


def _as_toml(value: Any, kind: OptionType[Any]) -> Any:
    """The TOML value that `parse_setting` reads as this value: a number, text, or a list."""
    words = kind.write(value)
    match value:
        case tuple() if kind.nargs == (1, 1):
            return words[0]
        case tuple():
            return [_number(word) for word in words]
        case float() if words and value.is_integer():
            return int(value)
        case _:
            return value if words else value is not False


def _number(word: str) -> int | float | str:
    """The word as a number, if the number is written exactly like it."""
    for kind in (int, float):
        with suppress(ValueError):
            if str(number := kind(word)) == word:
                return number
    return word
