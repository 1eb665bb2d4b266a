"""The prompt: lines in, pictures out."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TextIO

from prompt_toolkit.application import create_app_session
from prompt_toolkit.output import create_output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.utils import is_dumb_terminal

from dream.errors import DreamError
from dream.studio import Studio
from dream.terminal.above import Above
from dream.terminal.living import Conversation
from dream.terminal.plain import converse_plainly
from dream.terminal.show import Screen
from dream.terminal.style import wants_colour


def run(studio: Studio) -> int:
    """The session, from the greeting until the person leaves; the exit status.

    Where standard output is no terminal it gets the finished pictures' paths, and the session
    goes on on standard error.
    """
    with ExitStack() as stack:
        out, paths = sys.stdout, None
        if not out.isatty():
            out, paths = sys.stderr, sys.stdout
            stack.enter_context(create_app_session(output=create_output(out)))
        screen = screen_on(out, paths)
        # What else is written there, by libraries that warn, does not disturb the edit line.
        if not is_dumb_terminal():
            stack.enter_context(patch_stdout(raw=True))
        return converse(studio, screen)


def converse(studio: Studio, screen: Screen) -> int:
    """The greeting, and the session as this terminal can have it."""
    for line in greeting(studio):
        screen.say(line)
    if is_dumb_terminal():
        return converse_plainly(studio, screen)
    return Conversation(studio, screen).run()


def greeting(studio: Studio) -> tuple[str, str]:
    """Two lines: where we are, and how to find out more."""
    try:
        model = studio.base.model or studio.shelf.default()
    except DreamError as error:
        model = str(error)
    return (
        f"model {model}; pictures go to {studio.outdir}",
        "type what you want to see; !help explains, q leaves",
    )


def screen_on(out: TextIO, paths: TextIO | None = None) -> Screen:
    """The screen behind a stream, as the environment describes it."""
    return Screen(
        Above(out),
        columns=lambda: _columns(out),
        rewrite=False,
        colour=wants_colour(out),
        paths=paths,
    )


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal
        return 80
