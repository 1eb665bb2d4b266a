"""Print output above the edit line while a line is being typed."""

from __future__ import annotations

from typing import Any, TextIO

from prompt_toolkit.application.current import get_app_session

from dream.core.plain_text import make_printable


class Printable:
    """A stream for output of libraries, such as warnings, while the prompt is shown. Characters
    that would move the cursor are shown as �."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write text of any number of rows, or a part of a row."""
        rows = text.replace("\r\n", "\n").expandtabs().split("\n")
        self._out.write("\n".join(map(make_printable, rows)))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


class AbovePromptStream:
    """A terminal's stream that prints above the edit line; only for the thread of the event loop.

    prompt_toolkit's `patch_stdout` is not used because for each text it restores the terminal's
    mode for a moment, and a key pressed then is echoed into the progress display.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._session = get_app_session()
        self.encoding = out.encoding

    def write(self, text: str) -> int:
        """Write whole rows of text, above the edit line if it is shown."""
        app = self._session.app
        if not text:
            return 0
        if app is None or not app.is_running:
            return self._out.write(text)
        app.renderer.erase()
        written = self._out.write(text)
        self._out.flush()
        app.invalidate()  # redrawn once for all text written until then
        return written

    def flush(self) -> None:
        """Flush the stream."""
        self._out.flush()
