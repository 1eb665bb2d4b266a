"""The prompt: lines in, pictures out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.output import create_output
from prompt_toolkit.utils import is_dumb_terminal

from dream.commands import COMMANDS, Context, Edit, act
from dream.errors import DreamError
from dream.events import Event
from dream.studio import Studio
from dream.terminal.complete import LineCompleter, asks_for_menu
from dream.terminal.highlight import LineLexer
from dream.terminal.hints import Hints
from dream.terminal.history import FILE_NAME, LineHistory
from dream.terminal.interrupt import Interrupts
from dream.terminal.keys import Desk, key_bindings
from dream.terminal.plain import PlainPrompt
from dream.terminal.quiet import forget_keys, unechoed
from dream.terminal.show import MESSAGE, Screen
from dream.terminal.style import STYLE, wants_colour

LEAVE = ("q", "quit", "exit")

Ask = Callable[[str], str]
"""Asks for a line, given what it begins with. Raises EOFError to leave, KeyboardInterrupt for
Ctrl-C on an empty line."""


def run(studio: Studio) -> int:
    """The session, from the greeting until the person leaves; the exit status.

    Where standard output is no terminal it gets the finished pictures' paths, and the session
    goes on on standard error.
    """
    if sys.stdout.isatty():
        return converse(studio, screen_on(sys.stdout))
    with create_app_session(output=create_output(sys.stderr)):
        return converse(studio, screen_on(sys.stderr, paths=sys.stdout))


def converse(studio: Studio, screen: Screen) -> int:
    """The loop: for each line that is entered, do it and show what happens."""
    desk = Desk()
    history = LineHistory(studio.outdir / FILE_NAME, desk.notes.append, unkept=LEAVE)
    context = Context(studio, history.lines, COMMANDS, history.clear)
    plain = is_dumb_terminal()
    ask = PlainPrompt(history, screen.write) if plain else edit_line(context, history, desk)
    if plain:
        studio.warm()

    def show(event: Event) -> None:
        if isinstance(event, Edit):
            desk.put(event.text)
        else:
            screen.show(event)

    for line in greeting(studio):
        screen.say(line)
    with Interrupts() as interrupts, nullcontext() if plain else unechoed():
        for line in entered(ask, desk, history, screen):
            interrupts.follow(act(context, line), show)
            screen.wipe()
            if interrupts.twice():
                forget_keys()
                give_up_waiting(desk, screen)
    return 0


def entered(ask: Ask, desk: Desk, history: LineHistory, screen: Screen) -> Iterator[str]:
    """Each line that is typed, pasted or waiting, until the person leaves."""
    while True:
        try:
            line = _next(ask, desk, history, screen)
        except KeyboardInterrupt:
            screen.say("to leave, type q or press Ctrl-D")
            continue
        except EOFError:
            return
        if line.strip() in LEAVE:
            return
        screen.typed(line)
        yield line


def _next(ask: Ask, desk: Desk, history: LineHistory, screen: Screen) -> str:
    if desk.waiting:
        line = desk.waiting.popleft()
        history.append_string(line)
        screen.say(MESSAGE + line)
        return line
    text, desk.text = desk.text, ""
    # What cannot be UTF-8 (bytes of another encoding, pasted) is shown as such, once and for all.
    line = ask(text).encode(errors="replace").decode()
    while desk.notes:
        screen.say(desk.notes.pop())
    # A line break can be typed, with Ctrl-V or as a key of the editor; it ends a line even so.
    line, *others = line.split("\n")
    desk.waiting.extendleft(reversed(others))
    return line


def give_up_waiting(desk: Desk, screen: Screen) -> None:
    """Let go of the lines that were pasted and not begun."""
    if desk.waiting:
        count = len(desk.waiting)
        screen.say(f"and {count} waiting line{'s' if count > 1 else ''} given up")
        desk.waiting.clear()


def edit_line(context: Context, history: LineHistory, desk: Desk) -> Ask:
    """prompt_toolkit's edit line, with our history, completion, colours and keys."""
    session: PromptSession[str] = PromptSession(
        [("class:prompt", MESSAGE)],
        history=history,
        completer=LineCompleter(context),
        auto_suggest=Hints(),
        complete_in_thread=True,
        complete_while_typing=asks_for_menu,
        lexer=LineLexer(context.commands),
        style=STYLE,
        include_default_pygments_style=False,
        key_bindings=key_bindings(desk),
        enable_suspend=True,
    )
    # A terminal that does not say where its cursor is works well enough; no need to warn of it.
    session.app.renderer.cpr_not_supported_callback = None

    def warm(app: Application[str]) -> None:
        # The worker is started once the prompt stands there: nobody waits for it meanwhile.
        app.after_render -= warm
        context.studio.warm()

    session.app.after_render += warm
    return lambda text: session.prompt(default=text)


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
        out,
        columns=lambda: _columns(out),
        rewrite=out.isatty() and not is_dumb_terminal(),
        colour=wants_colour(out),
        paths=paths,
    )


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal
        return 80
