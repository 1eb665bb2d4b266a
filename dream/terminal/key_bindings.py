"""What keys do beyond prompt_toolkit's own bindings."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys


@dataclass
class PendingInput:
    """What lies ready for the prompt."""

    waiting: deque[str] = field(default_factory=deque)
    """Whole lines that were pasted behind the one that is being entered."""
    text: str = ""
    """What the next edit line begins with."""
    notes: list[str] = field(default_factory=list)
    """What is to be said once the edit line is done."""

    def put(self, text: str) -> None:
        """Have the next edit line begin with this text, before what lies there already."""
        self.text = f"{text} {self.text}" if self.text else text


def make_key_bindings(desk: PendingInput, interrupt: Callable[[], None]) -> KeyBindings:
    """Ctrl-C is `interrupt`'s to answer; each line of a paste is a line of its own."""
    bindings = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    @bindings.add("c-c", filter=typing)
    def ctrl_c(event: KeyPressEvent) -> None:
        interrupt()

    @bindings.add(Keys.BracketedPaste, filter=typing)
    def paste(event: KeyPressEvent) -> None:
        # As if typed: a line break enters the line, and what follows the last one stays to be
        # edited. Nothing of a hundred pasted lines is lost, and no two of them become one prompt.
        first, *others = event.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        event.current_buffer.insert_text(first)
        if others:
            *lines, desk.text = others
            desk.waiting.extend(lines)
            event.current_buffer.validate_and_handle()

    return bindings
