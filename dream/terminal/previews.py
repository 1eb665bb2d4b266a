"""Render images for the screen: as rows above the edit line, and as text."""

from __future__ import annotations

from pathlib import Path

from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text

from dream.core.errors import DreamError
from dream.core.events import Preview
from dream.core.plain_text import make_printable
from dream.graphics import TerminalImages


class SafeImagePreviews:
    """Renders images until the first failure, which is shown in place of the image. After it only
    images that the user asks for are rendered."""

    def __init__(self, pictures: TerminalImages) -> None:
        self._pictures = pictures
        self._failed = False

    def render_live(self, preview: Preview) -> StyleAndTextTuples:
        """Render a preview as rows above the edit line; empty if live previews are off."""
        if not self._pictures.shows_live or self._failed:
            return []
        try:
            return to_formatted_text(ANSI(self._pictures.render_live_frame(preview)))
        except DreamError:
            return []  # the final image reports the error

    def render_final(self, path: Path) -> str:
        """Render a finished image as text to print unchanged; empty if final images are off."""
        if not self._pictures.shows_final or self._failed:
            return ""
        try:
            return self._pictures.show(path)
        except DreamError as error:
            self._failed = True
            return make_printable(str(error))

    def render_file(self, path: Path) -> str:
        """Render an image file that the user asked for. Raises DreamError."""
        return self._pictures.show(path)
