"""What is said while a line is being typed appears above it, and disturbs neither."""

from __future__ import annotations

from typing import TextIO

from prompt_toolkit.application.current import get_app_session


class Above:
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
