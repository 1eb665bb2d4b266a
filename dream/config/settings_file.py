"""dream.toml: defaults for every line, and for every launch.

A line's open choices are filled from, the strongest first: the line itself, launch flags, the
dream.toml of the current folder, the one in the user's config folder, the model's card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from dream.core import bounded_reading as reading
from dream.core.cli_options import CLI_FLAGS, CliOptions
from dream.core.errors import BadSetting
from dream.core.own_files import edit_locked, rewrite
from dream.core.request import FLAGS, Request
from dream.line import find_setting, parse_setting
from dream.options.option_type import OptionType

FILE = "dream.toml"

_SAID_AT_LAUNCH = frozenset({"prompt", "from_file", "verify", "doctor", "version", "help"})


def find_settings_files() -> tuple[Path, ...]:
    """The files that may hold settings, the weakest first."""
    return (platformdirs.user_config_path("dream") / FILE, Path(FILE))


def read_settings(files: Iterable[Path]) -> tuple[CliOptions, Request]:
    """The defaults these files set, later ones over earlier ones; missing files set none.

    Raises BadSetting naming file, key and what is allowed there.
    """
    said: dict[str, Any] = {}
    for file in files:
        if file.is_file():
            said |= _read(file)
    return (
        CliOptions(**{name: said[name] for name in said if name in CLI_FLAGS}),
        Request(**{name: said[name] for name in said if name in FLAGS}),
    )


def settings_in(file: Path) -> tuple[str, ...]:
    """The names of the fields that a file sets; none when there is no file. Raises BadSetting."""
    return tuple(_read(file)) if file.is_file() else ()


def _read(file: Path) -> Mapping[str, Any]:
    try:
        table = reading.read_toml(file)
    except (OSError, ValueError) as error:
        raise BadSetting(
            f"{file}: {reading.explain_error(error)}", "mend or move the file"
        ) from None
    said = {}
    for key, value in table.items():
        try:
            name, meant = parse_setting(key, value)
        except BadSetting as error:
            raise BadSetting(f"{file}: {error.message}", error.hint) from None
        if name in _SAID_AT_LAUNCH:
            raise BadSetting(f"{file}: {name} is said at launch, not in {FILE}")
        said[name] = meant
    return said


def save_settings(
    base: Request, files: Sequence[Path] | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Have the last of the files, by default the current folder's dream.toml, say what is needed
    for `read_settings` to give this base; comments and keys of others stay as they are.

    The names of the fields that were changed in it; and of those that a weaker file sets and no
    file can unset. Raises BadSetting for a file that cannot be read or written.
    """
    files = find_settings_files() if files is None else files
    changed = _differing_fields(read_settings(files)[1], base)
    if changed:
        _write(files[-1], {name: getattr(base, name) for name in changed})
    left = _differing_fields(read_settings(files)[1], base)
    return tuple(name for name in changed if name not in left), left


def _differing_fields(one: Request, other: Request) -> tuple[str, ...]:
    names = (name for name in FLAGS if name not in _SAID_AT_LAUNCH)
    return tuple(name for name in names if getattr(one, name) != getattr(other, name))


def _write(file: Path, changes: Mapping[str, Any]) -> None:
    """Replace the file by one with these values; None takes a key out."""
    import tomlkit  # no start waits for it

    try:
        with edit_locked(file) as target:
            document = tomlkit.parse(reading.read_editable_toml(file) if file.is_file() else "")
            for field, value in changes.items():
                keys = [key for key in document if _means(key, field)] or [field]
                for key in keys[1:] if value not in (None, "") else keys:
                    document.pop(key, None)
                if value not in (None, ""):
                    document[keys[0]] = _as_toml(value, FLAGS[field].kind)
            rewrite(target, tomlkit.dumps(document))
    except Exception as error:  # the parser's own kinds, and whatever odd numbers and dates make
        raise BadSetting(
            f"{file}: {reading.explain_error(error)}", "mend or move the file"
        ) from None


def _means(key: str, field: str) -> bool:
    try:
        return find_setting(key) == field
    except BadSetting:
        return False


def _as_toml(value: Any, kind: OptionType[Any]) -> Any:
    """What `read_setting` reads as this value: a number or text, or of several words a list."""
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
    """The word as a number where that says the same, to the letter."""
    for kind in (int, float):
        with suppress(ValueError):
            if str(number := kind(word)) == word:
                return number
    return word
