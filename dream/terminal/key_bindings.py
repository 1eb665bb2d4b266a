"""Add key bindings to prompt_toolkit's: Ctrl-C and pasting several lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

_PARAMETERS = "Steps: "
"""Every record that is read when it is pasted has it."""


@dataclass
class PendingInput:
    """Input and notes that wait for the next edit line."""

    waiting: deque[str] = field(default_factory=deque)
    """Complete lines that were pasted after the one being entered."""
    text: str = ""
    """The text that the next edit line starts with."""
    notes: list[str] = field(default_factory=list)
    """Messages to show when the edit line is finished."""
    read_pasted: Callable[[str], str | None] | None = None
    """Turns another program's record, pasted as text, into a line, or returns None for other text;
    set by the session, which knows the models."""

    def put(self, text: str) -> None:
        """Put text at the start of the next edit line, before any pending text."""
        self.text = f"{text} {self.text}" if self.text else text

    def take_lines(self, entered: str) -> list[str]:
        """The lines of an entered text, at least one, and those pasted after it."""
        # Bytes of another encoding, as in a pasted text, become question marks here. A line break
        # can be typed with Ctrl-V or as a key of the editor; it ends a line.
        lines = [*entered.encode(errors="replace").decode().split("\n"), *self.waiting]
        self.waiting.clear()
        return lines


def _read_pasted(text: str, say: Callable[[str], None]) -> str | None:
    """Before there is a session that knows the models. Nothing is imported for other text."""
    if _PARAMETERS not in text:
        return None
    from dream.session.line_sources import read_pasted

    return read_pasted(text, say)


def make_key_bindings(pending: PendingInput, interrupt: Callable[[], None]) -> KeyBindings:
    """Bind Ctrl-C to `interrupt`, and enter each line of a pasted text separately."""
    bindings = KeyBindings()

    def read_pasted(text: str) -> str | None:
        if pending.read_pasted is not None:
            return pending.read_pasted(text)
        return _read_pasted(text, pending.notes.append)

    typing = has_focus(DEFAULT_BUFFER)

    @bindings.add("c-c", filter=typing)
    def ctrl_c(event: KeyPressEvent) -> None:
        interrupt()

    @bindings.add(Keys.BracketedPaste, filter=typing)
    def paste(event: KeyPressEvent) -> None:
        # As if typed: a line break enters the line, and the text after the last one stays in the
        # edit line. No pasted line is lost, and no two lines become one prompt; but a record that
        # another program made, such as AUTOMATIC1111's, becomes one line to edit.
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        if _PARAMETERS in text and not event.current_buffer.text:
            text = read_pasted(text) or text
        first, *others = text.split("\n")
        event.current_buffer.insert_text(first)
        if others:
            *lines, pending.text = others
            pending.waiting.extend(lines)
            event.current_buffer.validate_and_handle()

    return bindings
