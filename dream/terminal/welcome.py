"""What the prompt says with once the house behind it is open: the screen, and the greeting."""

from __future__ import annotations

import os
from typing import TextIO

from dream.errors import DreamError
from dream.graphics import Pictures, wants_links
from dream.house import taken_from_here
from dream.studio import Studio, wrong_defaults
from dream.terminal.above import Above
from dream.terminal.show import NoPictures, Screen
from dream.terminal.shown import Shown
from dream.terminal.style import wants_colour


def screen_on(out: TextIO, paths: TextIO | None = None, pictures: Pictures | None = None) -> Screen:
    """The screen behind a stream, as the environment describes it."""
    return Screen(
        Above(out),
        columns=lambda: _columns(out),
        rewrite=False,
        colour=wants_colour(out),
        paths=paths,
        pictures=NoPictures() if pictures is None else Shown(pictures),
        links=wants_links(out, os.environ),
    )


def greet(studio: Studio, screen: Screen) -> None:
    """Two lines: where we are, and how to find out more; and what models.toml says in vain."""
    try:
        model = studio.base.model or studio.shelf.default()
    except DreamError as error:
        model = str(error)
    screen.say(f"model {model}; pictures go to {studio.outdir}")
    screen.say("type what you want to see; !help explains, q leaves")
    wrong = wrong_defaults(studio.shelf, studio.base, besides=("model",))
    for text in taken_from_here(studio.shelf):
        screen.say(text)
    for complaint in (*studio.shelf.misread(), *wrong):
        screen.say(f"! {complaint}")


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal
        return 80
