"""The terminal's pictures as the screen wants them: rows for above the edit line, and text."""

from __future__ import annotations

from pathlib import Path

from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text

from dream.core.errors import DreamError
from dream.core.events import Preview
from dream.core.plain_text import make_printable
from dream.graphics import TerminalImages


class SafeImagePreviews:
    """Shows pictures as long as that goes well. The first failure is told in the picture's place,
    and nothing is tried after it unless somebody asks."""

    def __init__(self, pictures: TerminalImages) -> None:
        self._pictures = pictures
        self._failed = False

    def render_live(self, preview: Preview) -> StyleAndTextTuples:
        """A rough picture as rows for above the edit line; nothing where none is wanted."""
        if not self._pictures.shows_live or self._failed:
            return []
        try:
            return to_formatted_text(ANSI(self._pictures.render_live_frame(preview)))
        except DreamError:
            return []  # the finished one says why

    def render_final(self, path: Path) -> str:
        """A finished picture as text to print as it is; empty where none is wanted."""
        if not self._pictures.shows_final or self._failed:
            return ""
        try:
            return self._pictures.show(path)
        except DreamError as error:
            self._failed = True
            return make_printable(str(error))

    def render_file(self, path: Path) -> str:
        """Any picture's file, likewise, since somebody asked for it. Raises DreamError."""
        return self._pictures.show(path)
