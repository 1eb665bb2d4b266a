"""Names of image files, and of a prompt's folder.

`--fnformat` is Python's format language with the fields of a request, as in InvokeAI:
`{prefix}.{seed}.png`, `{prompt:0.40}_{steps}_{cfg_scale}.png`. Only plain names are allowed between
the braces, so a template can use these fields and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

from dream.core.request import FLAGS
from dream.options.option_type import format_number

NAME_BYTES = 255
"""Maximum length of a name on common file systems."""

CLASH_ROOM = len(".999")
"""Reserved for the number that `publish_file` adds."""

_ROOM = CLASH_ROOM + len(".upscaled")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_SHELL = re.compile(r"[`$;&']")
"""Characters that a shell would execute in a log line, which begins with the name."""
_LEADING = re.compile(r"^[\s.#!'\[-]+")
"""A hidden file, or at the beginning of a log line a comment, a command or a switch."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.I | re.S)
_HUGE = re.compile(r"\d{4}")  # in any script, as the format language accepts them


class FileName(NamedTuple):
    """A file name, and a warning if it is not the requested one."""

    text: str
    warning: str | None = None


def format_file_name(
    template: str | None, *, prefix: str, seed: int, fields: Mapping[str, object]
) -> FileName:
    """The file name of an image: a single name in the folder, for any template.

    `fields` are the request's by name, those at their default may be missing; `prefix`, `seed`, and
    `model_id` for the model are added. A template that cannot be filled in gives the default name
    and a warning.
    """
    default = FileName(f"{prefix}.{seed}.png")
    if template is None:
        return default
    defaults = {field: row.default for field, row in FLAGS.items()}
    known = {**defaults, **fields, "prefix": prefix, "seed": seed}
    known.setdefault("model_id", known["model"])
    try:
        filled = _PlainFormatter().vformat(template, (), known)
    except (LookupError, ValueError, TypeError, OverflowError) as error:
        reason = str(error.args[0]) if error.args else type(error).__name__
        return default._replace(warning=f"--fnformat {template}: {reason}; using {default.text}")
    name = make_safe_name(filled, _ROOM)
    if not name:
        return default._replace(
            warning=f"--fnformat {template}: the name is empty; using {default.text}"
        )
    return FileName(name)


def make_safe_name(text: str, room: int = CLASH_ROOM, ending: str = ".png") -> str:
    """The nearest name that is valid on every system, `room` bytes below the limit; "" if there is
    none. `.png` is replaced by the ending."""
    stem = text
    for known in dict.fromkeys((".png", ending)):
        stem = stem[: -len(known)] if stem.lower().endswith(known) else stem
    stem = _LEADING.sub("_", _SHELL.sub("_", _FORBIDDEN.sub("_", stem)))
    stem = _unreserved(truncate_utf8(stem, NAME_BYTES - len("_") - len(ending) - room).rstrip(" "))
    return f"{stem}{ending}" if stem.strip("_ ") else ""


def make_prompt_folder(prompt: str) -> str:
    """The folder for a prompt's images (--prompt_as_dir): a single name, never empty."""
    text = truncate_utf8(_FORBIDDEN.sub("_", prompt).lstrip(), NAME_BYTES - len("_"))
    return _unreserved(text.rstrip(" .")) or "_"


def truncate_utf8(text: str, limit: int) -> str:
    """The longest beginning with at most `limit` bytes in UTF-8, with complete characters only."""
    return text.encode()[:limit].decode(errors="ignore")


def _unreserved(name: str) -> str:
    return f"_{name}" if _RESERVED.fullmatch(name) else name


class _PlainFormatter(Formatter):
    """str.format without access to objects: no attributes, no indices, no positions."""

    def get_field(
        self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, str]:
        if field_name not in kwargs:
            known = " ".join(sorted(kwargs))
            raise LookupError(f"{{{field_name}}} is not one of {known}")
        return _printable(kwargs[field_name]), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if _HUGE.search(format_spec):
            raise ValueError(f"{format_spec} is too wide")
        return str(super().format_field(value, format_spec))


def _printable(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case int() | float():
            return value
        case tuple() | list():
            parts = (part for part in value if part is not None)
            return "-".join(
                part if isinstance(part, str) else format_number(part) for part in parts
            )
    return str(value)
