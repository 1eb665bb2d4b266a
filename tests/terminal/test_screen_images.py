from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image
from prompt_toolkit.formatted_text import fragment_list_to_text

from dream.commands import ShowImage
from dream.core.events import Preview, Saved, Step
from dream.core.request import Request
from dream.graphics import Terminal, TerminalImages
from dream.terminal.previews import SafeImagePreviews
from dream.terminal.screen import NoImagePreviews, Screen

STEP = Step(step=1, steps=9, picture=1, pictures=1, preview=Preview(8, 8, b"\x10\x80\xff" * 64))


def shown(**settings: bool) -> SafeImagePreviews:
    return SafeImagePreviews(
        TerminalImages(terminal=Terminal(), screen=lambda: (80, 24), size=8, **settings)
    )


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return Saved(path=path, line="a", sha256="", request=Request(seed=7))


def screen(
    pictures: SafeImagePreviews | NoImagePreviews, links: bool = False
) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    term = Screen(
        out, columns=lambda: 500, rewrite=False, colour=False, pictures=pictures, links=links
    )
    return term, out


def test_a_picture_lives_above_the_line_until_it_is_finished(saved: Saved) -> None:
    term, out = screen(shown())
    term.show(STEP)
    assert len(fragment_list_to_text(term.get_live_rows()).split("\n")) == 4
    term.show(Step(step=2, steps=9, picture=1, pictures=1))
    assert term.get_live_rows(), "the last look stands until there is another"
    term.show(saved)
    assert term.get_live_rows() == []
    name, *picture = out.getvalue().rstrip("\n").split("\n")
    assert name == f"{saved.path.as_posix()}  (-S7)"
    assert len(picture) == 4


def test_what_was_drawn_elsewhere_is_not_drawn_again(saved: Saved) -> None:
    term, out = screen(shown())
    drawn = term.prepare(saved)
    saved.path.unlink()
    term.show(saved, drawn)
    assert "\x1b[" in out.getvalue()


def test_only_what_is_wanted_is_shown(saved: Saved) -> None:
    term, out = screen(shown(shows_final=False))
    term.show(saved)
    assert out.getvalue().count("\n") == 1
    term, _ = screen(shown(shows_live=False))
    term.show(STEP)
    assert term.get_live_rows() == []


def test_whoever_asks_sees_a_picture_nevertheless(saved: Saved) -> None:
    term, out = screen(shown(shows_final=False, shows_live=False))
    term.show(ShowImage(path=saved.path))
    assert out.getvalue().count("\n") == 4
    term.show(ShowImage(path=saved.path.with_name("b.png")))
    assert "there is no" in out.getvalue().splitlines()[-1]
    term, out = screen(NoImagePreviews())
    term.show(ShowImage(path=saved.path))
    assert "!open shows it" in out.getvalue()


def test_without_chafa_it_is_said_once(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chafa", None)
    term, out = screen(shown())
    for _ in range(3):
        term.show(STEP)
        term.show(saved)
    assert out.getvalue().count("pip install chafa.py") == 1
    assert out.getvalue().count("a.png") == 3


def test_paths_are_links_where_that_is_wanted(saved: Saved) -> None:
    term, out = screen(NoImagePreviews(), links=True)
    term.show(saved)
    name = saved.path.as_posix()
    assert f"\x1b\\{name}\x1b]8;;\x1b\\  (-S7)\n" in out.getvalue()
