"""Run the prompt.

The edit line is shown at once, so that the user can type while another thread imports the rest of
dream.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import (
    AbstractContextManager,
    ExitStack,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.utils import is_dumb_terminal

from dream.core.cli_options import CliOptions
from dream.core.errors import BadSetting
from dream.graphics import TerminalImages, detect_terminal_images
from dream.terminal.edit_line import EditLine
from dream.terminal.history_file import FILE_NAME, LineHistory
from dream.terminal.key_bindings import PendingInput
from dream.terminal.no_echo import disable_echo
from dream.terminal.print_above import Printable
from dream.terminal.signals import handle_signals

if TYPE_CHECKING:
    from dream.commands.line_runner import LineRunner
    from dream.session import Session
    from dream.terminal.screen import Screen

NO_PREVIEW = CliOptions(preview="off")


class Served(Protocol):
    """Another front door of the session."""

    @property
    def url(self) -> str:
        """Where it is."""


Serve = Callable[["LineRunner"], AbstractContextManager[Served]]
"""Serves another front door of the session whose lines are run by this runner, during a block.
Raises BadSetting."""


def run_prompt(
    open_session: Callable[[], Session],
    outdir: Path,
    launch: CliOptions = NO_PREVIEW,
    serve: Serve | None = None,
) -> int:
    """Run a session from the greeting until the user quits; the exit status. `open_session` is
    called once the prompt is shown, and its session is closed at the end. Raises what it raises.

    `outdir` is the folder of the images and the history; `launch` has the preview options. If
    standard output is not a terminal, it gets the paths of the finished images and the prompt is
    shown on standard error.
    """
    with ExitStack() as stack:
        out, paths = sys.stdout, None
        if not out.isatty():
            out, paths = sys.stderr, sys.stdout
            stack.enter_context(create_app_session(output=create_output(out)))
        pictures = detect_images(out, launch)
        # Warnings from libraries are printed above the edit line.
        if not is_dumb_terminal():
            stack.enter_context(patch_stdout())
            stack.enter_context(redirect_stdout(Printable(sys.stdout)))
            stack.enter_context(redirect_stderr(Printable(sys.stderr)))

        def opened() -> tuple[Session, Screen]:
            from dream.terminal.greeting import create_screen

            return stack.enter_context(open_session()), create_screen(out, paths, pictures)

        return run_session(opened, outdir, serve)


def run_session(
    opened: Callable[[], tuple[Session, Screen]], outdir: Path, serve: Serve | None = None
) -> int:
    """Run the prompt that this terminal supports; the exit status. `opened` is called once, in any
    thread; raises what it raises."""
    if not is_dumb_terminal():
        with disable_echo():
            return asyncio.run(_run_interactive(opened, outdir, serve))
    if serve is not None:
        raise BadSetting("--web beside the prompt needs a terminal", "use it with </dev/null")
    from dream.terminal.dumb_terminal import run_dumb_terminal
    from dream.terminal.greeting import greet

    session, screen = opened()
    greet(session, screen)
    return run_dumb_terminal(session, screen)


async def _run_interactive(
    opened: Callable[[], tuple[Session, Screen]], outdir: Path, serve: Serve | None
) -> int:
    """Read lines while a thread opens the session, then hand over to InteractiveSession."""
    pending = PendingInput()
    history = LineHistory(outdir / FILE_NAME, pending.notes.append)
    edit = EditLine(history, pending)
    loop = asyncio.get_running_loop()
    first_paint = loop.create_future()

    def rendered(app: Application[str]) -> None:
        if not first_paint.done():
            first_paint.set_result(None)

    def import_and_open() -> tuple[Session, Screen]:
        import dream.terminal.interactive  # noqa: F401 - in this thread, so that no key is delayed

        return opened()

    with handle_signals(loop, lambda: edit.interrupt(), edit.leave):
        edit.app.after_render += rendered
        first: asyncio.Future[str] = asyncio.ensure_future(edit.read_line())
        await asyncio.wait([first, first_paint], return_when=asyncio.FIRST_COMPLETED)
        opening = asyncio.ensure_future(asyncio.to_thread(import_and_open))
        from dream.terminal.early_lines import EarlyLines  # once the prompt is shown

        early = EarlyLines(edit, pending, history, outdir)
        first = await early.read_until(first, opening)
        try:
            session, screen = await opening
        except BaseException as error:
            await _leave(edit, first, error)
            raise
        from dream.session.foreign_models import ModelLookup
        from dream.session.line_sources import read_pasted
        from dream.terminal.greeting import greet
        from dream.terminal.interactive import InteractiveSession

        greet(session, screen)
        pending.read_pasted = lambda text: read_pasted(
            text, screen.say, ModelLookup(session.registry)
        )
        interactive = InteractiveSession(session, screen, edit, pending, history)
        with ExitStack() as stack:
            if serve is not None:
                try:
                    served = stack.enter_context(serve(interactive.runner))
                except BaseException as error:
                    await _leave(edit, first, error)
                    raise
                screen.say(f"web page: {served.url}")
            return await interactive.run(first, early)


async def _leave(edit: EditLine, first: asyncio.Future[str], error: BaseException) -> None:
    """Take away the edit line before the session has begun."""
    edit.leave(error)
    with suppress(BaseException):
        await first


def detect_images(out: TextIO, launch: CliOptions) -> TerminalImages | None:
    """Detect how images can be shown on `out`. Keys pressed during the terminal query are kept for
    the prompt."""
    pictures, typed = detect_terminal_images(
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
    if (
        pictures is not None
        and pictures.terminal.colours == "all"
        and isinstance(session.output, Vt100_Output)
    ):
        session.output.default_color_depth = ColorDepth.DEPTH_24_BIT
    return pictures
