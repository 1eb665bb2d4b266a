"""File names as clickable links in a terminal (OSC 8)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from dream.graphics.terminal import is_dumb


def supports_links(out: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether links can be written to `out`. Terminals without links show only their text, except
    screen and the Linux console, which may show the escape sequences."""
    console = environment.get("TERM", "") == "linux" or bool(environment.get("STY"))
    return out.isatty() and not is_dumb(environment) and not console


def make_link(text: str, path: Path) -> str:
    """The text as a link to a file. It includes the host name, so that over SSH no local file of
    the same name is opened. https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda"""
    from urllib.parse import quote  # imported late, for a fast start

    where = quote(path.absolute().as_posix(), errors="surrogateescape")
    return f"\x1b]8;;file://{quote(socket.gethostname())}{where}\x1b\\{text}\x1b]8;;\x1b\\"
