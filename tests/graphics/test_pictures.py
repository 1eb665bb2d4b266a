from __future__ import annotations

import base64
import io
import os
import re
import struct
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from prompt_toolkit.formatted_text import ANSI, fragment_list_to_text, to_formatted_text
from prompt_toolkit.utils import get_cwidth

from dream.core.errors import InputError
from dream.core.events import Preview
from dream.graphics import Terminal, TerminalImages
from dream.graphics.draw import NoGraphics, render_text
from dream.graphics.terminal import MOST_PIXELS

RED = (220, 20, 30)


def on(terminal: Terminal, columns: int = 80, rows: int = 24, size: int = 32) -> TerminalImages:
    return TerminalImages(terminal=terminal, screen=lambda: (columns, rows), size=size)


def text_rows(shown: str) -> list[str]:
    """The characters of every row, without colours."""
    return fragment_list_to_text(to_formatted_text(ANSI(shown))).split("\n")


def preview(width: int = 32, height: int = 32) -> Preview:
    return Preview(width, height, bytes(RED) * width * height)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (256, 256), RED).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("width, height", [(32, 32), (16, 64), (96, 24), (1, 999)])
@pytest.mark.parametrize("columns, rows", [(80, 24), (40, 24), (12, 60), (300, 9)])
def test_a_picture_of_characters_fits(width: int, height: int, columns: int, rows: int) -> None:
    shown = text_rows(
        on(Terminal(), columns, rows, size=60).render_live_frame(preview(width, height))
    )
    assert len(shown) <= rows - rows // 2
    assert {get_cwidth(row) for row in shown} <= set(range(1, min(60, columns - 1) + 1))
    assert len({get_cwidth(row) for row in shown}) == 1


def test_a_square_is_twice_as_many_columns_as_rows(picture: Path) -> None:
    shown = text_rows(on(Terminal()).show(picture))
    assert (len(shown[0]), len(shown)) == (32, 16)


def test_where_there_is_no_room_there_is_no_picture(picture: Path) -> None:
    for columns, rows in ((3, 24), (80, 2), (0, 0)):
        assert on(Terminal(), columns, rows).show(picture) == ""
        assert on(Terminal(), columns, rows).render_live_frame(preview()) == ""


def test_colours_are_as_many_as_the_terminal_has() -> None:
    def codes(colours: str) -> set[str]:
        shown = on(replace(Terminal(), colours=colours)).render_live_frame(preview())  # type: ignore[arg-type]
        return set(re.findall(r"\x1b\[([\d;]*)m", shown)) - {"0", "7", ""}

    assert any(code.endswith("2;220;20;30") for code in codes("all"))
    assert all("8;5;" in code for code in codes("256"))
    assert codes("16") and not any("8;" in code for code in codes("16"))
    assert codes("none") == set()


def test_an_encoding_without_blocks_gets_letters() -> None:
    shown = replace(on(Terminal()), ascii_only=True).render_live_frame(preview())
    assert shown.isascii()


def test_kitty_gets_all_pixels(picture: Path) -> None:
    shown = on(Terminal(protocol="kitty", cell=(8, 16))).show(picture)
    assert "s=256,v=256,c=32,r=16" in shown
    data = "".join(re.findall(r"\x1b_Gm=1;([^\x1b]*)\x1b\\", shown))
    assert base64.b64decode(data)[:4] == bytes([*RED, 255])
    assert "\x1bPtmux" not in shown


def test_through_tmux_kittys_pictures_are_wrapped_and_numbered(picture: Path) -> None:
    through = on(Terminal(protocol="kitty", through_tmux=True))
    shown = through.show(picture)
    assert shown.startswith("\x1bPtmux;\x1b\x1b_G")
    (number,) = re.findall(r"i=(\d+),", shown)
    Image.new("RGB", (256, 256), "blue").save(picture)
    assert f"i={number}," not in through.show(picture)
    assert "\U0010eeee" in shown


def test_sixel_and_iterm(picture: Path) -> None:
    sixel = on(Terminal(protocol="sixel")).show(picture)
    assert re.match(r"\x1bP[\d;]*q\"1;1;256;25\d#0;2;", sixel)
    iterm = on(Terminal(protocol="iterm2")).show(picture)
    assert iterm.startswith("\x1b]1337;File=inline=1;width=32;height=16;")


def test_what_cannot_be_shown_says_why(tmp_path: Path, picture: Path) -> None:
    here = on(Terminal())
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "short.png").write_bytes(picture.read_bytes()[:90])
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    for name in ("none.png", "text.png", "short.png", ".", "pipe.png", "endless.png"):
        with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
            here.show(tmp_path / name)


def test_broken_pictures_of_every_format_are_refused(tmp_path: Path) -> None:
    """Each decoder has errors of its own; whoever looks meets one kind."""
    here, chance = on(Terminal()), np.random.default_rng(3)
    for kind in ("PNG", "AVIF", "WEBP", "JPEG", "GIF", "TIFF", "BMP", "TGA", "ICO", "JPEG2000"):
        whole = io.BytesIO()
        Image.new("RGB", (32, 32), RED).save(whole, kind)
        path = tmp_path / "rotten.png"
        for _ in range(12):
            data = np.frombuffer(whole.getvalue(), np.uint8).copy()
            data[chance.integers(0, len(data), 8)] = chance.integers(0, 256, 8)
            path.write_bytes(data[: int(chance.integers(1, len(data) + 1))].tobytes())
            with suppress(InputError):
                assert here.show(path)


def test_formats_that_need_more_than_a_decoder_are_refused(tmp_path: Path) -> None:
    heads = {
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "dds": b"DDS " + struct.pack("<I", 124) + bytes(200),
        "blp": b"BLP2" + bytes(200),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(200),
        "fli": bytes(4) + b"\x11\xaf" + bytes(200),
    }
    for kind, data in heads.items():
        path = tmp_path / f"{kind}.png"
        path.write_bytes(data)
        with pytest.raises(InputError, match="not an image"):
            on(Terminal()).show(path)


@pytest.mark.parametrize("protocol", ["sixel", "kitty", "iterm2", "symbols"])
def test_a_monstrous_terminal_is_drawn_on_within_bounds(picture: Path, protocol: str) -> None:
    terminal = Terminal(protocol=protocol, cell=(128, 256))  # type: ignore[arg-type]
    for columns, rows in ((65535, 65535), (300, 9)):
        shown = on(terminal, columns, rows, size=1000).show(picture)
        assert shown and len(shown) < 32 << 20
    with pytest.raises(ValueError, match="are no"):
        render_text(b"123", (1, 1), (MOST_PIXELS // 128 + 1, 1), terminal)


def test_pixels_that_are_not_there_are_not_read() -> None:
    with pytest.raises(ValueError, match="not 3 x 3 pixels"):
        render_text(b"123", (3, 3), (2, 1), Terminal())


def test_without_chafa_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chafa", None)
    with pytest.raises(
        NoGraphics, match=r"cannot be shown in this terminal.*pip install chafa\.py"
    ):
        on(Terminal()).render_live_frame(preview())


def test_nothing_is_kept_of_a_picture(picture: Path) -> None:
    process = psutil.Process()
    here = on(Terminal(protocol="kitty"))

    def grown(count: int) -> int:
        before = process.memory_info().rss
        for _ in range(count):
            here.show(picture)
            here.render_live_frame(preview())
        return process.memory_info().rss - before

    grown(20)
    assert grown(100) < 10 * 2**20, "each is a third of a megabyte"
