"""The styles of the prompt: few colours, the terminal's own, and none with NO_COLOR."""

from __future__ import annotations

import os
from typing import TextIO

from prompt_toolkit.styles import Style

MESSAGE = "dream> "
"""The text before the edit line."""

STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "line.switch": "ansicyan",
        "line.value": "ansigreen",
        "line.command": "ansicyan",
        "line.negative": "ansimagenta",
        "line.weight": "ansiyellow",
        "line.aside": "ansibrightblack",
        "line.error": "ansired underline",
        "auto-suggestion": "ansibrightblack",
        "toolbar": "ansibrightblack",
        "toolbar.outlook": "ansicyan",
        "toolbar.wrong": "ansired",
        "completion-menu": "bg:default default",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default default",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "reverse",
    }
)
"""Classes of the edit line (`line.…`, see highlight), of the rows below it (`toolbar`), and of
prompt_toolkit's menu."""


def wants_colour(out: TextIO) -> bool:
    """Whether output to this stream is coloured. https://no-color.org"""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return out.isatty() and not dumb and not os.environ.get("NO_COLOR")
