from __future__ import annotations

import io
import socket
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from dream.graphics.links import make_link, supports_links


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", ["a b.png", "猫#?%.png", "\x1b]8;;x\x07.png"])
def test_a_link_leads_to_its_file(tmp_path: Path, name: str) -> None:
    shown = make_link("shown", tmp_path / name)
    start, text, end, _ = shown.removeprefix("\x1b").split("\x1b")
    assert (text, end) == ("\\shown", "]8;;")
    where = urlparse(start.removeprefix("]8;;"))
    assert where.hostname == socket.gethostname().lower()
    assert Path(unquote(where.path)) == tmp_path / name


def test_links_are_for_terminals_that_know_them() -> None:
    assert supports_links(Tty(), {"TERM": "xterm"})
    assert not supports_links(io.StringIO(), {"TERM": "xterm"})
    for environment in ({"TERM": "dumb"}, {"TERM": "linux"}, {"TERM": "screen", "STY": "1"}, {}):
        assert not supports_links(Tty(), environment)
