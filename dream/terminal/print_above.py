"""What is said while a line is being typed appears above it, and disturbs neither."""

from __future__ import annotations

from typing import Any, TextIO

from prompt_toolkit.application.current import get_app_session

from dream.core.plain_text import make_printable


class Printable:
    """A stream for what libraries write while the prompt stands there, such as warnings: rows of
    text, in which whatever would move the cursor is shown as �."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Text of any number of rows, or of a part of one."""
        rows = text.replace("\r\n", "\n").expandtabs().split("\n")
        self._out.write("\n".join(map(make_printable, rows)))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


class AbovePromptStream:
    """A terminal's stream, for the thread of the event loop alone.

    prompt_toolkit's `patch_stdout` would do, but for each text it gives the terminal back to the
    system and takes it again, and a key pressed in between is echoed into the picture's progress.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._session = get_app_session()
        self.encoding = out.encoding

    def write(self, text: str) -> int:
        """Whole rows of text, above the edit line if one stands there."""
        app = self._session.app
        if not text:
            return 0
        if app is None or not app.is_running:
            return self._out.write(text)
        app.renderer.erase()
        written = self._out.write(text)
        self._out.flush()
        app.invalidate()  # drawn once, however much is said until then
        return written

    def flush(self) -> None:
        """As any stream's."""
        self._out.flush()
