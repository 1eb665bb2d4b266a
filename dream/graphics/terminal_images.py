"""Shows finished images and live previews in a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, get_args

from dream.graphics.terminal import (
    MOST_PIXELS,
    Answers,
    Protocol,
    Terminal,
    describe_terminal,
    is_dumb,
)
from dream.graphics.terminal_query import choose_timeout, query_terminal, query_tmux

if TYPE_CHECKING:
    from dream.core.events import Preview

_MIN_CELLS = (4, 2)
"""Columns and rows below which no image is shown."""
_RESERVED_ROWS = 4
"""Rows that a finished image leaves for the edit line and the status bar."""


@dataclass(frozen=True, kw_only=True)
class TerminalImages:
    """Renders images for one terminal, as text to be written there unchanged.

    The methods raise NoGraphics if chafa is missing.
    """

    terminal: Terminal
    screen: Callable[[], tuple[int, int]]
    """Returns the terminal's current columns and rows."""
    size: int = 32
    """Maximum columns of an image."""
    shows_final: bool = True
    """Whether every finished image is shown."""
    shows_live: bool = True
    """Whether live previews are shown."""
    ascii_only: bool = False

    def show(self, path: Path) -> str:
        """Text that shows an image file at the cursor; the cursor stays in the last row. Empty if
        the terminal is too small. Also raises InputError."""
        from dream.graphics.draw import render_text  # imported late, for a fast start
        from dream.inputs import open_picture

        image = open_picture(path).image.copy()
        cells = self._fit_cells(image.size, reserved=_RESERVED_ROWS)
        if not cells:
            return ""
        width, height = self.terminal.cell
        image.thumbnail((cells[0] * width, cells[1] * height))
        return render_text(
            image.tobytes(), image.size, cells, self.terminal, ascii_only=self.ascii_only
        )

    def render_live_frame(self, preview: Preview) -> str:
        """A live preview as characters, since it is in a window that is redrawn often. Rows are
        separated by line breaks. At most half the screen's height."""
        from dream.graphics.draw import render_text

        size = (preview.width, preview.height)
        cells = self._fit_cells(size, reserved=self.screen()[1] // 2)
        if not cells:
            return ""
        characters = replace(self.terminal, protocol="symbols", through_tmux=False)
        return render_text(preview.rgb, size, cells, characters, ascii_only=self.ascii_only)

    def _fit_cells(self, size: tuple[int, int], reserved: int) -> tuple[int, int] | None:
        """Columns and rows for an image of `size` pixels; None if there is no room."""
        columns, rows = self.screen()
        room = (min(self.size, columns - 1), rows - reserved)
        if room[0] < _MIN_CELLS[0] or room[1] < _MIN_CELLS[1]:
            return None
        width, height = self.terminal.cell
        room = (min(room[0], MOST_PIXELS // width), min(room[1], MOST_PIXELS // height))
        aspect = size[1] * width / (size[0] * height)  # rows for each column
        fitted = min(float(room[0]), room[1] / aspect)
        return max(1, round(fitted)), max(1, min(room[1], round(fitted * aspect)))


def detect_terminal_images(
    out: TextIO,
    keys: TextIO,
    *,
    preview: str = "auto",
    protocol: str = "auto",
    size: int = TerminalImages.size,
    environment: Mapping[str, str] = os.environ,
) -> tuple[TerminalImages | None, str]:
    """TerminalImages for the terminal of `out`, or None if it cannot show images; and the text that
    was typed during the query. The terminal is queried only if images are wanted, with a short
    timeout. `preview`, `protocol` and `size` are the command-line options."""
    if not out.isatty() or is_dumb(environment):
        return None, ""
    answers, typed, tmux = Answers(), "", None
    if preview != "off" and protocol != "symbols":
        tmux = query_tmux() if environment.get("TMUX") else None
        answers, typed = _query(out, keys, environment)
    terminal = describe_terminal(environment, answers, tmux)
    images = TerminalImages(
        terminal=terminal
        if protocol == "auto"
        else _with_protocol(terminal, protocol, environment),
        screen=lambda: _terminal_size(out),
        size=size,
        shows_final=preview in ("auto", "final"),
        shows_live=supports_live(out, preview, environment),
        ascii_only="utf" not in (out.encoding or "").lower(),
    )
    return images, typed


def supports_live(out: TextIO, preview: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether live previews are shown on `out`, so that the engine should render them."""
    return preview in ("auto", "live") and out.isatty() and not is_dumb(environment)


def _with_protocol(terminal: Terminal, protocol: str, environment: Mapping[str, str]) -> Terminal:
    """The terminal with the protocol that the user set; in tmux, kitty images are wrapped."""
    (wanted,) = (known for known in get_args(Protocol) if known == protocol)
    wrapped = wanted == "kitty" and bool(environment.get("TMUX"))
    return replace(terminal, protocol=wanted, through_tmux=wrapped)


def _query(out: TextIO, keys: TextIO, environment: Mapping[str, str]) -> tuple[Answers, str]:
    # The Linux console prints unknown sequences; screen breaks them.
    unsupported = environment.get("TERM") == "linux" or environment.get("STY")
    if unsupported or os.name == "nt" or not keys.isatty():
        return Answers(), ""
    out.flush()
    return query_terminal(keys.fileno(), out.fileno(), choose_timeout(environment))


def _terminal_size(out: TextIO) -> tuple[int, int]:
    try:
        columns, rows = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        return 80, 24
    return columns or 80, rows or 24
