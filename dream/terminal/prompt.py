"""The prompt: lines in, pictures out."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TextIO

from prompt_toolkit.application import create_app_session
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.utils import is_dumb_terminal

from dream.errors import DreamError
from dream.graphics import pictures_on, wants_links
from dream.launch import Launch
from dream.studio import Studio
from dream.terminal.above import Above
from dream.terminal.living import Conversation
from dream.terminal.plain import converse_plainly
from dream.terminal.show import NoPictures, Pictures, Screen
from dream.terminal.shown import Shown
from dream.terminal.style import wants_colour

PICTURELESS = Launch(preview="off")


def run(studio: Studio, launch: Launch = PICTURELESS) -> int:
    """The session, from the greeting until the person leaves; the exit status. `launch` says how
    pictures are shown.

    Where standard output is no terminal it gets the finished pictures' paths, and the session
    goes on on standard error.
    """
    with ExitStack() as stack:
        out, paths = sys.stdout, None
        if not out.isatty():
            out, paths = sys.stderr, sys.stdout
            stack.enter_context(create_app_session(output=create_output(out)))
        screen = screen_on(out, paths, pictures_for(out, launch))
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


def pictures_for(out: TextIO, launch: Launch) -> Pictures:
    """How pictures are shown there. Keys pressed while the terminal was asked what it can show
    wait for the prompt."""
    pictures, typed = pictures_on(
        out,
        sys.stdin,
        preview=launch.preview,
        protocol=launch.preview_protocol,
        size=launch.preview_size,
    )
    session = get_app_session()
    if typed:
        keys: list[KeyPress] = []
        parser = Vt100Parser(keys.append)
        parser.feed_and_flush(typed)
        store_typeahead(session.input, keys)
    if pictures is None:
        return NoPictures()
    if pictures.terminal.colours == "all" and isinstance(session.output, Vt100_Output):
        session.output.default_color_depth = ColorDepth.DEPTH_24_BIT
    return Shown(pictures)


def screen_on(
    out: TextIO,
    paths: TextIO | None = None,
    pictures: Pictures = NoPictures(),  # noqa: B008 - it knows nothing
) -> Screen:
    """The screen behind a stream, as the environment describes it."""
    return Screen(
        Above(out),
        columns=lambda: _columns(out),
        rewrite=False,
        colour=wants_colour(out),
        paths=paths,
        pictures=pictures,
        links=wants_links(out, os.environ),
    )


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal
        return 80
