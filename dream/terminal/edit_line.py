"""The edit line: prompt_toolkit's, with our history, colours, keys and rows around.

It stands there before the house behind it is open, so this imports nothing of it: what knows
models and commands (completion, hints, highlighting) moves in later, as attributes.
"""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.filters import Condition, is_done
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.containers import AnyContainer, ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import CPR_Support

from dream.terminal.history_file import LineHistory
from dream.terminal.key_bindings import PendingInput, make_key_bindings
from dream.terminal.style import MESSAGE, STYLE

Rows = Callable[[], StyleAndTextTuples]


class EditLine(PromptSession[str]):
    """The edit line between two blocks of rows, `above` and `below`, which are asked for whenever
    it is drawn and vanish with Enter. Ctrl-C calls `interrupt`."""

    def __init__(self, history: LineHistory, desk: PendingInput) -> None:
        self.above: Rows = list
        self.below: Rows = list
        self.interrupt: Callable[[], None] = self.clear_or_help
        self._desk = desk
        self._apps = get_app_session()
        self._over: BaseException | None = None
        super().__init__(
            [("class:prompt", MESSAGE)],
            history=history,
            complete_in_thread=True,
            style=STYLE,
            include_default_pygments_style=False,
            key_bindings=make_key_bindings(desk, lambda: self.interrupt()),
            enable_suspend=True,
        )
        self.layout.container = HSplit(
            [_rows(lambda: self.above()), self.layout.container, _rows(lambda: self.below())]
        )
        if isinstance(self.app.output, Vt100_Output):
            # Where the cursor is need not be known: the rows stand next to the line, not at the
            # terminal's bottom. So no terminal is asked, and none is waited for.
            self.app.output.enable_cpr = False
            self.app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED

    async def read_line(self) -> str:
        """The line that is entered, which begins with what lies ready on the desk. Raises EOFError
        for Ctrl-D, and what `leave` was told."""
        if self._over is not None:
            raise self._over
        text, self._desk.text = self._desk.text, ""
        self.app.erase_when_done = False
        return await self.prompt_async(default=text, handle_sigint=False)

    def clear_or_help(self) -> None:
        """Ctrl-C where nothing is being made: as a shell does, or say how to leave."""
        buffer = self.default_buffer
        if buffer.text:
            buffer.save_to_undo_stack()
            buffer.text = ""
        else:
            self._desk.notes.append("to leave, type q or press Ctrl-D")

    def put_aside(self) -> None:
        """End the line that stands there with an Aside, without a trace on the screen; what is
        typed in it lies ready for the next."""
        self._desk.put(self.default_buffer.text)
        self.app.erase_when_done = True
        self.app.exit(exception=PromptInterrupted())

    def leave(self, error: BaseException) -> None:
        """End the line or the question that stands there with this error; with any but EOFError
        all that would follow, too."""
        app = self._apps.app
        if not isinstance(error, EOFError):
            self._over = self._over or error
        if app is not None and app.is_running and app.future and not app.future.done():
            app.exit(exception=error)

    @property
    def exit_error(self) -> BaseException | None:
        """What ended the session, if something did."""
        return self._over


class PromptInterrupted(Exception):
    """The line will be asked for again; something else comes first."""


def _rows(rows: Rows) -> AnyContainer:
    window = Window(FormattedTextControl(rows), dont_extend_height=True, wrap_lines=False)
    return ConditionalContainer(window, ~is_done & Condition(lambda: bool(rows())))
