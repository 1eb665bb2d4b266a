"""Shows the greeting once the rest of the program is imported, and creates the screen."""

from __future__ import annotations

import os
from typing import TextIO

from dream.config.folder_notice import describe_folder_settings
from dream.core.errors import DreamError
from dream.graphics import TerminalImages
from dream.graphics.links import supports_links
from dream.session import Session, find_wrong_defaults
from dream.terminal.previews import SafeImagePreviews
from dream.terminal.print_above import AbovePromptStream
from dream.terminal.screen import NoImagePreviews, Screen
from dream.terminal.style import wants_colour


def create_screen(
    out: TextIO, paths: TextIO | None = None, pictures: TerminalImages | None = None
) -> Screen:
    """The screen for a stream, as the environment describes it."""
    return Screen(
        AbovePromptStream(out),
        columns=lambda: _columns(out),
        rewrite=False,
        colour=wants_colour(out),
        paths=paths,
        pictures=NoImagePreviews() if pictures is None else SafeImagePreviews(pictures),
        links=supports_links(out, os.environ),
    )


def greet(session: Session, screen: Screen) -> None:
    """Show two lines: model and folder, and how to get help; then defaults that name something
    missing and problems in models.toml."""
    try:
        model = session.base.model or session.registry.get_default_model()
    except DreamError as error:
        model = str(error)
    screen.say(f"model {model}; images are saved in {session.outdir}")
    screen.say("Type a prompt. !help for commands, q to quit.")
    wrong = find_wrong_defaults(session.registry, session.base, extra=("model",))
    for text in describe_folder_settings(session.registry):
        screen.say(text)
    for complaint in (*session.registry.check_models_toml(), *wrong):
        screen.say(f"! {complaint}")


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal
        return 80
