"""Show events on the screen: as lines, and as one progress line that is rewritten in place."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TextIO

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from dream.commands import Line, ShowImage, TextOutput
from dream.core.errors import BadLine, DreamError
from dream.core.events import (
    Cancelled,
    Event,
    Failed,
    LineStarted,
    Loading,
    Note,
    Preview,
    Rejected,
    Saved,
    Step,
    Verified,
)
from dream.core.messages import NoteDeduplicator, ProgressEstimator, format_event
from dream.core.plain_text import OutputError, make_printable, print_styled
from dream.graphics.links import make_link
from dream.terminal.style import MESSAGE

_ERASE = "\r\x1b[K"
_TERM = 26
"""Width of the terms column in cells; longer terms get their own line."""
_RED, _YELLOW, _DIM = "31", "33", "2"


class TerminalStream(Protocol):
    """The methods of a terminal's stream that are used."""

    @property
    def encoding(self) -> str: ...
    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...


class ImagePreviews(Protocol):
    """Renders images for this terminal. Thread-safe."""

    def render_live(self, preview: Preview) -> StyleAndTextTuples:
        """Render a preview as rows above the edit line; empty if none is shown."""

    def render_final(self, path: Path) -> str:
        """Render a finished image as text to print unchanged; empty if none is shown."""

    def render_file(self, path: Path) -> str:
        """Render an image file that the user asked for. Raises DreamError."""


class NoImagePreviews:
    """Shows no images."""

    def render_live(self, preview: Preview) -> StyleAndTextTuples:
        """No rows."""
        return []

    def render_final(self, path: Path) -> str:
        """No text."""
        return ""

    def render_file(self, path: Path) -> str:
        """No text."""
        return ""


PreparedImage = StyleAndTextTuples | str
"""The rendered image of an event: rows above the edit line, or text to print."""


class Screen:
    """Shows events on a terminal.

    `columns` returns the terminal's width in cells. Without `rewrite` (a dumb terminal, a file)
    there is no progress line, and without `colour` no colour. `paths` also gets the paths of the
    finished images, one per line; with `links` paths on the screen are hyperlinks.
    """

    def __init__(
        self,
        out: TerminalStream,
        *,
        columns: Callable[[], int],
        rewrite: bool,
        colour: bool,
        paths: TextIO | None = None,
        pictures: ImagePreviews = NoImagePreviews(),  # noqa: B008 - it has no state
        links: bool = False,
    ) -> None:
        self._out, self.columns, self._paths = out, columns, paths
        self._pictures, self._links = pictures, links
        self._live: StyleAndTextTuples = []
        self._previewed: str | None = None
        self._rewrite, self._colour = rewrite, colour
        self._estimator, self._repeats = ProgressEstimator(), NoteDeduplicator()
        self._drawn = False
        self._above = ""

    def note_typed_line(self, line: str) -> None:
        """Remember the entered line on the row above."""
        self._above = line

    def begin(self, line: str) -> None:
        """Show which line starts, unless it is on the row above."""
        if line != self._above:
            self.say(MESSAGE + line)
            self._above = line

    def clear_progress(self) -> None:
        """Remove the live preview: a line has ended."""
        self._live, self._previewed = [], None

    def get_live_rows(self) -> StyleAndTextTuples:
        """Return the preview of the current image as rows; empty if there is none."""
        return self._live

    def prepare(self, event: Event) -> PreparedImage | None:
        """Render the image of an event for `show`. This is slow, so any thread may do it. An image
        that cannot be shown is skipped; its file exists anyway."""
        try:
            match event:
                case Step(preview=Preview() as preview):
                    return self._pictures.render_live(preview)
                case Saved(path=path):
                    return self._pictures.render_final(path)
        except Exception:
            return []
        return None

    def show(self, event: Event, drawn: PreparedImage | None = None) -> None:
        """Show one event as a line or as the progress line, with the image from `prepare`."""
        if isinstance(event, Saved) and self._paths is not None:
            self._print_path(event.path, self._paths)
        image = self.prepare(event) if drawn is None else drawn
        if isinstance(event, Step) and event.preview is not None and not isinstance(image, str):
            self._previewed = self._previewed or event.worker  # one of several workers
            if event.worker == self._previewed:
                self._live = image or []
        bar = self._estimator.format_progress(event)
        match event:
            case _ if self._repeats.is_repeated(event):
                pass
            case TextOutput(lines=lines):
                for line in format_page(lines, self.columns() - 1):
                    self.say(line)
            case ShowImage(path=path):
                self._show_image(path)
            case Rejected(error=BadLine(column=column) as error, line=line) if column and line:
                self._draw_caret(line, column)
                self.say(_format_error(error, event.number), _RED)
            case Loading() | LineStarted() if self._rewrite:
                self._draw(format_event(event) or "starting …")
            case _ if bar is not None:
                self._draw(bar)
            case _ if (text := format_event(event)) is not None:
                self.say(text, _colour_of(event), getattr(event, "path", None))
        if isinstance(event, Saved):
            self._live, self._previewed = [], None
            if isinstance(image, str) and image:
                self.write(f"{image}\n")

    def say(self, text: str, colour: str = "", path: object = None) -> None:
        """Write one line; `path`, where it occurs in the line, becomes a hyperlink."""
        shown = self._add_colour(make_printable(text), colour)
        if self._links and isinstance(path, Path):
            name = make_printable(path.as_posix())
            shown = shown.replace(name, make_link(name, path), 1)
        self.write(self._erase_bar(shown) + "\n")
        self._above = ""

    def wipe(self) -> None:
        """Erase the progress line."""
        self.write(self._erase_bar(""))

    def write(self, text: str) -> None:
        """Write text unchanged; the cursor stays at its end."""
        # A character that the terminal's encoding lacks becomes a question mark, not an error.
        encoding = self._out.encoding or "utf-8"
        print_styled(text.encode(encoding, "replace").decode(encoding), self._out)

    def _print_path(self, path: Path, paths: TextIO) -> None:
        try:
            print_styled(f"{path.as_posix()}\n", paths)
        except OutputError as error:
            self._paths = None
            self.say(f"paths are no longer printed: {error}", _RED)

    def _show_image(self, path: Path) -> None:
        """Show an image that the user asked for, or the reason why it cannot be shown."""
        try:
            picture = self._pictures.render_file(path)
        except DreamError as error:
            self.say(str(error), _RED)
            return
        if picture:
            self.write(self._erase_bar(f"{picture}\n"))
            self._above = ""
        else:
            self.say(
                "this terminal is too small or has no colours for images; !open shows it", _RED
            )

    def _draw(self, bar: str) -> None:
        """Draw the progress line. Its last column stays empty because some terminals would wrap."""
        if self._rewrite:
            self.write(self._erase_bar(clip(make_printable(bar), self.columns() - 1)))
            self._drawn = True

    def _draw_caret(self, line: str, column: int) -> None:
        """Draw a caret below a character of the line; a line too long for one row is shown again,
        clipped around that character."""
        room = self.columns() - 1
        line = make_printable(line)
        if line != self._above or get_cwidth(MESSAGE + line) > room:
            line, indent = clip_around(line, column, room - 2)
            self.say(f"  {line}")
            column, before = 1, "  " + " " * indent
        else:
            before = " " * get_cwidth(MESSAGE + line[: column - 1])
        self.say(before + "^", _RED)

    def _erase_bar(self, text: str) -> str:
        erase, self._drawn = (_ERASE if self._drawn else ""), False
        return erase + text

    def _add_colour(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text


def _format_error(error: DreamError, number: int) -> str:
    """Format an error without its column, which the caret shows."""
    where = f"line {number}: " if number else ""
    return where + (f"{error.message} ({error.hint})" if error.hint else error.message)


def _colour_of(event: Event) -> str:
    match event:
        case Rejected() | Failed() | Verified(same=False, near=False):
            return _RED
        case Cancelled():
            return _YELLOW
        case Note() | Loading():
            return _DIM
        case _:
            return ""


def format_page(lines: Sequence[Line], cells: int) -> Iterator[str]:
    """Format the lines of a page, with terms and meanings side by side if both fit."""
    terms = [line[0] for line in lines if isinstance(line, tuple)]
    indent = min(max(map(len, terms), default=0), _TERM) + 2
    narrow = cells < 2 * indent
    for line in lines:
        if isinstance(line, str):
            yield line
            continue
        term, meaning = line
        parts = textwrap.wrap(meaning, max(cells - (6 if narrow else indent), 10)) or [""]
        if narrow or len(term) > _TERM:
            yield from [term] if term else []
        else:
            yield f"{term:{indent}}{parts.pop(0)}"
        yield from (" " * (6 if narrow else indent) + part for part in parts)


def clip(text: str, cells: int) -> str:
    """Return as much of the start of a text as fits; a Chinese character takes two cells."""
    if get_cwidth(text) <= cells:
        return text
    width = 0
    for index, char in enumerate(text):
        width += get_cwidth(char)
        if width > cells:
            return text[:index]
    return text


def clip_around(line: str, column: int, cells: int) -> tuple[str, int]:
    """Return the part of the line around a column (from 1) that fits into `cells`, and the number
    of cells before that column in it."""
    before, after = line[: column - 1], line[column - 1 :]
    if get_cwidth(line) > cells:
        room = max(cells // 2, cells - get_cwidth(after)) - 1
        if get_cwidth(before) > room:
            before = "…" + clip(before[::-1], room)[::-1]
        after = clip(after, cells - get_cwidth(before))
    return before + after, get_cwidth(before)
