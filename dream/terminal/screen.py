"""Events to the screen: lines that stay, and one progress line that is rewritten in place."""

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
from dream.core.plain_text import make_printable, print_styled
from dream.graphics import make_link
from dream.terminal.style import MESSAGE

_ERASE = "\r\x1b[K"
_TERM = 26
"""Cells for the terms of a page; longer ones stand on a line of their own."""
_RED, _YELLOW, _DIM = "31", "33", "2"


class TerminalStream(Protocol):
    """What is asked of a terminal's stream."""

    @property
    def encoding(self) -> str: ...
    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...


class ImagePreviews(Protocol):
    """How pictures are shown in this terminal. Any thread may ask."""

    def render_live(self, preview: Preview) -> StyleAndTextTuples:
        """A rough picture as rows for above the edit line; nothing where none is shown."""

    def render_final(self, path: Path) -> str:
        """A finished picture as text to print as it is; empty where none is shown."""

    def render_file(self, path: Path) -> str:
        """A picture's file likewise, for somebody who asked to see it. Raises DreamError."""


class NoImagePreviews:
    """Shows none."""

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
"""What is to be seen of an event besides its words: rows above the edit line, or text to print."""


class Screen:
    """A terminal that events are shown on.

    `columns` is asked before each line that must fit. Without `rewrite` (a dumb terminal, a file)
    there is no progress line, and without `colour` no colour. `paths` gets the finished pictures'
    paths besides, one a line; with `links` they can be clicked.
    """

    def __init__(
        self,
        out: TerminalStream,
        *,
        columns: Callable[[], int],
        rewrite: bool,
        colour: bool,
        paths: TextIO | None = None,
        pictures: ImagePreviews = NoImagePreviews(),  # noqa: B008 - it knows nothing
        links: bool = False,
    ) -> None:
        self._out, self.columns, self._paths = out, columns, paths
        self._pictures, self._links = pictures, links
        self._live: StyleAndTextTuples = []
        self._rewrite, self._colour = rewrite, colour
        self._pace, self._heard = ProgressEstimator(), NoteDeduplicator()
        self._drawn = False
        self._above = ""

    def note_typed_line(self, line: str) -> None:
        """Know what stands on the row above, after the prompt."""
        self._above = line

    def begin(self, line: str) -> None:
        """Say which line is begun, unless it is the one on the row above."""
        if line != self._above:
            self.say(MESSAGE + line)
            self._above = line

    def clear_progress(self) -> None:
        """Know that nothing is being made."""
        self._live = []

    def get_live_rows(self) -> StyleAndTextTuples:
        """The picture being made, as rows; none when there is nothing to see."""
        return self._live

    def prepare(self, event: Event) -> PreparedImage | None:
        """What `show` will want of an event. It takes a while; so any other thread may do it. A
        picture that cannot be drawn is left out, for it is made all the same."""
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
        """One event, as one line or as the progress line; and what was `drawn` of it before."""
        if isinstance(event, Saved) and self._paths is not None:
            print_styled(f"{event.path.as_posix()}\n", self._paths)
        seen = self.prepare(event) if drawn is None else drawn
        if isinstance(event, Step) and event.preview is not None and not isinstance(seen, str):
            self._live = seen or []
        bar = self._pace.format_progress(event)
        match event:
            case _ if self._heard.is_repeated(event):
                pass
            case TextOutput(lines=lines):
                for line in format_page(lines, self.columns() - 1):
                    self.say(line)
            case ShowImage(path=path):
                self._look(path)
            case Rejected(error=BadLine(column=column) as error, line=line) if column and line:
                self._point(line, column)
                self.say(_told(error, event.number), _RED)
            case Loading() | LineStarted() if self._rewrite:
                self._draw(format_event(event) or "starting …")
            case _ if bar is not None:
                self._draw(bar)
            case _ if (text := format_event(event)) is not None:
                self.say(text, _colour_of(event), getattr(event, "path", None))
        if isinstance(event, Saved):
            self._live = []
            if isinstance(seen, str) and seen:
                self.write(f"{seen}\n")

    def say(self, text: str, colour: str = "", path: object = None) -> None:
        """One line that stays. Where it names this path, it links to it."""
        shown = self._painted(make_printable(text), colour)
        if self._links and isinstance(path, Path):
            name = make_printable(path.as_posix())
            shown = shown.replace(name, make_link(name, path), 1)
        self.write(self._wiped(shown) + "\n")
        self._above = ""

    def wipe(self) -> None:
        """Take the progress line away."""
        self.write(self._wiped(""))

    def write(self, text: str) -> None:
        """Text as it is; the cursor stays behind it."""
        # A terminal of another encoding shows question marks; it does not end the session.
        encoding = self._out.encoding or "utf-8"
        print_styled(text.encode(encoding, "replace").decode(encoding), self._out)

    def _look(self, path: Path) -> None:
        """A picture that somebody asked to see, or why it cannot be seen."""
        try:
            picture = self._pictures.render_file(path)
        except DreamError as error:
            self.say(str(error), _RED)
            return
        if picture:
            self.write(self._wiped(f"{picture}\n"))
            self._above = ""
        else:
            self.say("there is no room for pictures here, or no colours; !open shows it", _RED)

    def _draw(self, bar: str) -> None:
        """The progress line. Its last column stays free, where some terminals would wrap."""
        if self._rewrite:
            self.write(self._wiped(clip(make_printable(bar), self.columns() - 1)))
            self._drawn = True

    def _point(self, line: str, column: int) -> None:
        """A caret below a character of the line: the one just typed, if it fitted on its row,
        else as much of it as fits, shown again."""
        room = self.columns() - 1
        line = make_printable(line)
        if line != self._above or get_cwidth(MESSAGE + line) > room:
            line, indent = clip_around(line, column, room - 2)
            self.say(f"  {line}")
            column, before = 1, "  " + " " * indent
        else:
            before = " " * get_cwidth(MESSAGE + line[: column - 1])
        self.say(before + "^", _RED)

    def _wiped(self, text: str) -> str:
        erase, self._drawn = (_ERASE if self._drawn else ""), False
        return erase + text

    def _painted(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text


def _told(error: DreamError, number: int) -> str:
    """An error whose column is pointed at, in words."""
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
    """A page's lines. Terms and meanings stand side by side where there is room for both."""
    terms = [line[0] for line in lines if isinstance(line, tuple)]
    indent = min(max(map(len, terms), default=0), _TERM) + 2
    narrow = cells < 2 * indent
    for line in lines:
        if isinstance(line, str):
            yield line
            continue
        term, meaning = line
        told = textwrap.wrap(meaning, max(cells - (6 if narrow else indent), 10)) or [""]
        if narrow or len(term) > _TERM:
            yield from [term] if term else []
        else:
            yield f"{term:{indent}}{told.pop(0)}"
        yield from (" " * (6 if narrow else indent) + part for part in told)


def clip(text: str, cells: int) -> str:
    """As much of the beginning of a text as fits; a Chinese character takes two cells."""
    if get_cwidth(text) <= cells:
        return text
    width = 0
    for index, char in enumerate(text):
        width += get_cwidth(char)
        if width > cells:
            return text[:index]
    return text


def clip_around(line: str, column: int, cells: int) -> tuple[str, int]:
    """The surroundings of a character of the line (columns count from 1) that fit into so many
    cells, and how many cells stand before that character."""
    before, after = line[: column - 1], line[column - 1 :]
    if get_cwidth(line) > cells:
        room = max(cells // 2, cells - get_cwidth(after)) - 1
        if get_cwidth(before) > room:
            before = "…" + clip(before[::-1], room)[::-1]
        after = clip(after, cells - get_cwidth(before))
    return before + after, get_cwidth(before)
