"""The options of `.swap()`: `dog, s_end=0.3`, `dog, shape_freedom=0.5`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace

from dream.prompt.brackets import split_at_commas
from dream.prompt.tree import PromptError, SwapOptions

_OPTION = re.compile(r"\s*([A-Za-z_]+)\s*=\s*(\S+)\s*\Z")
SHAPE_FREEDOM = "shape_freedom"
NAMES = (*(field.name for field in fields(SwapOptions)), SHAPE_FREEDOM)


def read_swap_options(
    text: str, start: int, end: int, pairs: Mapping[int, int]
) -> tuple[SwapOptions, int]:
    """The options behind the words in text[start:end], and the index where the words end.

    Raises PromptError for an unknown option or a value that is not from 0 to 1.
    """
    options = SwapOptions()
    stop = start
    for begin, close in split_at_commas(text, start, end, pairs):
        option = _OPTION.match(text[begin:close])
        if option is None:
            stop = close
            continue
        name, value = option[1], _share(option[2], begin)
        if name == SHAPE_FREEDOM:
            options = replace(options, s_end=1 - value ** (1 / 3))
        elif name in NAMES:
            options = replace(options, **{name: value})
        else:
            raise PromptError(
                f"“{name[:20]}” is not an option of .swap()", begin + 1, " ".join(NAMES)
            )
    return options, stop


def _share(word: str, at: int) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise PromptError(f"“{word[:20]}” is not a number from 0 to 1", at + 1)
    return value


def format_swap_options(options: SwapOptions) -> str:
    """As they are typed, without those at their default."""
    default = SwapOptions()
    return "".join(
        f", {field.name}={getattr(options, field.name)!r}"
        for field in fields(options)
        if getattr(options, field.name) != getattr(default, field.name)
    )
