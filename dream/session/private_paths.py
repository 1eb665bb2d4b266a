"""Removes the home folder and the user's name from the paths that are written into images."""

from __future__ import annotations

import getpass
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.core.request import FLAGS, Request, map_image_files
from dream.options.control import Control, ImagePrompt
from dream.options.lora import Lora

_WORDS = ("prompt", "negative", "watermark", "text_mask")
"""Fields of the user's own words, which stay as they are."""
_NOT_PRIVATE = ("", "root")
"""Names of users that say nothing about anybody."""


def hide_private_paths(request: Request) -> Request:
    """The request with `~` for the home folder; of a path that still has the user's name in it,
    only the file's name. It means the same to the same user, except for the latter."""
    hidden: dict[str, Any] = {}
    for name in FLAGS:
        value = getattr(request, name)
        if isinstance(value, str) and name not in _WORDS:
            hidden[name] = hide_private_path(value)
        elif name == "control" and value:
            controls = (Control(*control) for control in value)
            hidden[name] = map_image_files(tuple(controls), hide_private_path)
        elif name == "image_prompt" and value:
            prompts = tuple(ImagePrompt(*prompt) for prompt in value)
            hidden[name] = map_image_files(prompts, hide_private_path)
        elif name in ("reference", "control_model") and value:
            hidden[name] = tuple(map(hide_private_path, value))
        elif name == "lora" and value:
            hidden[name] = tuple(
                lora._replace(name=hide_private_path(lora.name)) for lora in map(_as_lora, value)
            )
    return replace(request, **hidden)


def _as_lora(value: Lora) -> Lora:
    """A LoRA that may have become a plain tuple."""
    return Lora(*value)


def hide_private_path(text: str) -> str:
    """The same for one value; it is unchanged if it is not an absolute path."""
    path = Path(text)
    if not path.is_absolute():
        return text
    with suppress(RuntimeError, ValueError):  # no home folder
        text = (Path("~") / path.relative_to(Path.home())).as_posix()
    return path.name if _user() in Path(text).parts else text


def _user() -> str:
    """The user's name; a character that no path has, if it is not private or not known."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = ""
    return "\0" if name in _NOT_PRIVATE else name
