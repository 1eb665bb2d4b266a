"""The edit line: prompt_toolkit's, with our history, completion, colours, keys and rows around."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.filters import Condition, is_done
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout.containers import AnyContainer, ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import CPR_Support

from dream.commands import Context
from dream.terminal.complete import LineCompleter, asks_for_menu
from dream.terminal.highlight import LineLexer
from dream.terminal.hints import Hints
from dream.terminal.history import LineHistory
from dream.terminal.show import MESSAGE
from dream.terminal.style import STYLE

Rows = Callable[[], StyleAndTextTuples]


def edit_line(
    context: Context, history: LineHistory, keys: KeyBindings, *, above: Rows, below: Rows
) -> PromptSession[str]:
    """The edit line between two blocks of rows, which are asked for whenever it is drawn and
    vanish with Enter."""
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
        key_bindings=keys,
        enable_suspend=True,
    )
    session.layout.container = HSplit([_rows(above), session.layout.container, _rows(below)])
    if isinstance(session.app.output, Vt100_Output):
        # Where the cursor is need not be known: the rows stand next to the line, not at the
        # terminal's bottom. So no terminal is asked, and none is waited for.
        session.app.output.enable_cpr = False
        session.app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED
    return session


def _rows(rows: Rows) -> AnyContainer:
    window = Window(FormattedTextControl(rows), dont_extend_height=True, wrap_lines=False)
    return ConditionalContainer(window, ~is_done & Condition(lambda: bool(rows())))
