"""The prompt: lines in, pictures out.

It is there before the house is: a person who has started `dream` may type at once, while the
rooms behind the edit line are read from disk in another thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.utils import is_dumb_terminal

from dream.graphics import Pictures, pictures_on
from dream.launch import Launch
from dream.terminal.above import Printable
from dream.terminal.edit import EditLine
from dream.terminal.history import FILE_NAME, LineHistory
from dream.terminal.keys import Desk
from dream.terminal.quiet import unechoed
from dream.terminal.signals import handled

if TYPE_CHECKING:
    from dream.studio import Studio
    from dream.terminal.show import Screen

PICTURELESS = Launch(preview="off")


def run(open_studio: Callable[[], Studio], outdir: Path, launch: Launch = PICTURELESS) -> int:
    """The session, from the greeting until the person leaves; the exit status. The studio is
    opened once the prompt stands there, and closed. Raises what opening it raises.

    `outdir` is where its pictures go, and its history; `launch` says how pictures are shown.
    Where standard output is no terminal it gets the finished pictures' paths, and the session
    goes on on standard error.
    """
    with ExitStack() as stack:
        out, paths = sys.stdout, None
        if not out.isatty():
            out, paths = sys.stderr, sys.stdout
            stack.enter_context(create_app_session(output=create_output(out)))
        pictures = pictures_for(out, launch)
        # What else is written there, by libraries that warn, does not disturb the edit line.
        if not is_dumb_terminal():
            stack.enter_context(patch_stdout())
            stack.enter_context(redirect_stdout(Printable(sys.stdout)))
            stack.enter_context(redirect_stderr(Printable(sys.stderr)))

        def opened() -> tuple[Studio, Screen]:
            from dream.terminal.welcome import screen_on

            return stack.enter_context(open_studio()), screen_on(out, paths, pictures)

        return converse(opened, outdir)


def converse(opened: Callable[[], tuple[Studio, Screen]], outdir: Path) -> int:
    """The session as this terminal can have it; the exit status. Raises what `opened` raises,
    which is called once, in any thread."""
    if not is_dumb_terminal():
        with unechoed():
            return asyncio.run(_converse(opened, outdir))
    from dream.terminal.plain import converse_plainly
    from dream.terminal.welcome import greet

    studio, screen = opened()
    greet(studio, screen)
    return converse_plainly(studio, screen)


async def _converse(opened: Callable[[], tuple[Studio, Screen]], outdir: Path) -> int:
    """The first line is asked for; behind it the house is opened, and takes over."""
    desk = Desk()
    history = LineHistory(outdir / FILE_NAME, desk.notes.append)
    edit = EditLine(history, desk)
    loop = asyncio.get_running_loop()
    painted = loop.create_future()

    def rendered(app: Application[str]) -> None:
        if not painted.done():
            painted.set_result(None)

    def house() -> tuple[Studio, Screen]:
        import dream.terminal.living  # noqa: F401 - here, so that no key waits for it

        return opened()

    with handled(loop, lambda: edit.interrupt(), edit.leave):
        edit.app.after_render += rendered
        first = asyncio.ensure_future(edit.entered())
        await asyncio.wait([first, painted], return_when=asyncio.FIRST_COMPLETED)
        try:
            studio, screen = await asyncio.to_thread(house)
        except BaseException as error:
            edit.leave(error)
            with suppress(BaseException):
                await first
            raise
        from dream.terminal.living import Conversation
        from dream.terminal.welcome import greet

        greet(studio, screen)
        return await Conversation(studio, screen, edit, desk, history).run(first)


def pictures_for(out: TextIO, launch: Launch) -> Pictures | None:
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
    if (
        pictures is not None
        and pictures.terminal.colours == "all"
        and isinstance(session.output, Vt100_Output)
    ):
        session.output.default_color_depth = ColorDepth.DEPTH_24_BIT
    return pictures
