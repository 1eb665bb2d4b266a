"""The edit line: prompt_toolkit's session with our history, colours, keys and status rows.

It is shown before the rest of dream is imported, so this module imports none of it. Completion,
suggestions and highlighting are set later as attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.application.current import get_app, get_app_session
from prompt_toolkit.filters import Condition, is_done
from prompt_toolkit.formatted_text import OneStyleAndTextTuple, StyleAndTextTuples
from prompt_toolkit.layout.containers import AnyContainer, ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import CPR_Support

from dream.core.plain_text import make_printable
from dream.terminal.history_file import LineHistory
from dream.terminal.key_bindings import PendingInput, make_key_bindings
from dream.terminal.style import MESSAGE, STYLE

Rows = Callable[[], StyleAndTextTuples]


class EditLine(PromptSession[str]):
    """The edit line between two blocks of rows, `above` and `below`, which are called at each
    redraw and removed on Enter. Ctrl-C calls `interrupt`."""

    def __init__(self, history: LineHistory, pending: PendingInput) -> None:
        self.above: Rows = list
        self.below: Rows = list
        self.interrupt: Callable[[], None] = self.clear_or_help
        self._pending = pending
        self._apps = get_app_session()
        self._over: BaseException | None = None
        super().__init__(
            [("class:prompt", MESSAGE)],
            history=history,
            complete_in_thread=True,
            style=STYLE,
            include_default_pygments_style=False,
            key_bindings=make_key_bindings(pending, lambda: self.interrupt()),
            enable_suspend=True,
            input_processors=[ReplaceUnprintable()],
        )
        self.layout.container = HSplit(
            [_rows(lambda: self.above()), self.layout.container, _rows(lambda: self.below())]
        )
        if isinstance(self.app.output, Vt100_Output):
            # The rows are next to the line and not at the bottom of the terminal, so the cursor
            # position is not needed: do not query the terminal, and do not wait for its answer.
            self.app.output.enable_cpr = False
            self.app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED

    async def read_line(self) -> str:
        """Read a line; it starts with the pending text. Raises EOFError for Ctrl-D, and the error
        passed to `leave`."""
        if self._over is not None:
            raise self._over
        text, self._pending.text = self._pending.text, ""
        self.app.erase_when_done = False
        return await self.prompt_async(default=text, handle_sigint=False)

    def clear_or_help(self) -> None:
        """Handle Ctrl-C while no line is running: clear the text as a shell does, or tell how to
        quit."""
        buffer = self.default_buffer
        if buffer.text:
            buffer.save_to_undo_stack()
            buffer.text = ""
        else:
            self._pending.notes.append("to quit, type q or press Ctrl-D")

    def put_aside(self) -> None:
        """Interrupt the current line with PromptInterrupted and erase it from the screen; its text
        becomes the start of the next line. A line that was just entered is not interrupted."""
        if self.app.is_running and self.app.future and not self.app.future.done():
            self._pending.put(self.default_buffer.text)
            self.app.erase_when_done = True
            self.app.exit(exception=PromptInterrupted())

    def leave(self, error: BaseException) -> None:
        """End the current line or question with this error; any error but EOFError also ends all
        later ones."""
        app = self._apps.app
        if not isinstance(error, EOFError):
            self._over = self._over or error
        if app is not None and app.is_running and app.future and not app.future.done():
            app.exit(exception=error)

    @property
    def exit_error(self) -> BaseException | None:
        """The error that ended the session, or None."""
        return self._over


class ReplaceUnprintable(Processor):
    """Shows � for each character that changes the reading direction or is invisible, so that a line
    from a file looks as it will be read. The text is unchanged; prompt_toolkit itself shows control
    characters (`^A`)."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Implements prompt_toolkit's interface; positions stay, one character for another."""
        return Transformation(
            [
                (fragment[0], _show_format_characters(fragment[1]))
                for fragment in transformation_input.fragments
            ]
        )


def _show_format_characters(text: str) -> str:
    return text if text.isprintable() else re.sub(r"[^\x00-\xa0]+", _replace, text)


def _replace(match: re.Match[str]) -> str:
    return make_printable(match[0])


class PromptInterrupted(Exception):
    """The line was interrupted by a question and is read again after it."""


def _rows(rows: Rows) -> AnyContainer:
    once = _OncePerRedraw(rows)
    window = Window(FormattedTextControl(once), dont_extend_height=True, wrap_lines=False)
    return ConditionalContainer(window, ~is_done & Condition(lambda: bool(once())))


class _OncePerRedraw:
    """Rows that are computed once for each redraw, which asks for them several times: what is
    computed for a key delays it."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._number, self._computed = -1, list[OneStyleAndTextTuple]()

    def __call__(self) -> StyleAndTextTuples:
        number = get_app().render_counter
        if number != self._number:
            self._number, self._computed = number, self._rows()
        return self._computed
