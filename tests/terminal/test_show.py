from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from dream.commands import TextOutput
from dream.core.errors import BadLine, EngineError
from dream.core.events import Event, Failed, Loading, Note, Preview, Rejected, Saved, Step
from dream.core.plain_text import make_printable
from dream.core.request import Request
from dream.terminal.screen import Screen, clip, clip_around


@dataclass
class Rows:
    """A screen, and what stands on it."""

    columns: int = 80
    rewrite: bool = True
    out: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.screen = Screen(
            self.out, columns=lambda: self.columns, rewrite=self.rewrite, colour=False
        )

    def after(self, *events: Event) -> list[str]:
        for event in events:
            self.screen.show(event)
        rows = self.out.getvalue().split("\n")
        return [row.rpartition("\r\x1b[K")[2] for row in rows if row]


def step(number: int) -> Step:
    return Step(step=number, steps=20, picture=1, pictures=2)


class Broken:
    """Pictures that cannot be drawn."""

    def live(self, preview: Preview) -> NoReturn:
        raise ZeroDivisionError

    def final(self, path: Path) -> NoReturn:
        raise OSError("no such font")

    def asked(self, path: Path) -> str:
        return ""


def test_a_picture_that_cannot_be_drawn_is_left_out() -> None:
    rows = Rows()
    rows.screen = Screen(
        rows.out, columns=lambda: 80, rewrite=True, colour=False, pictures=Broken()
    )
    preview = Preview(1, 1, b"\0\0\0")
    events = (Step(step=1, steps=2, picture=1, pictures=1, preview=preview), SAVED)
    for event in events:
        rows.screen.show(event, rows.screen.prepare(event))
    assert rows.after(*events)[-1] == "out/1.7.png  (-S7)"
    assert rows.screen.get_live_rows() == []


SAVED = Saved(path=Path("out/1.7.png"), line="a -S7", sha256="", request=Request(seed=7))


def test_progress_is_one_line_and_is_wiped_before_what_stays() -> None:
    rows = Rows()
    assert rows.after(step(1), step(2)) == [rows.after()[0]]
    assert rows.after()[0].startswith("image 1/2  render 2/20")
    assert rows.after(SAVED) == ["out/1.7.png  (-S7)"]
    assert rows.after(Loading(model="tiny")) == ["out/1.7.png  (-S7)", "loading tiny …"]


def test_progress_never_reaches_the_last_column() -> None:
    assert Rows(columns=20).after(step(1)) == ["image 1/2  render 1"]


def test_where_nothing_can_be_rewritten_there_is_no_progress() -> None:
    rows = Rows(rewrite=False)
    assert rows.after(Loading(model="tiny"), step(1), SAVED) == [
        "loading tiny …",
        "out/1.7.png  (-S7)",
    ]
    assert "\x1b" not in rows.out.getvalue()


def refused(line: str, column: int, number: int = 0) -> Rejected:
    return Rejected(error=BadLine("no", column, "yes"), line=line, number=number)


@pytest.mark.parametrize(("line", "cells"), [("a cat -x", 6), ("猫と犬 -x", 7), ("🐈 é -x", 5)])
def test_a_caret_stands_below_the_fault(line: str, cells: int) -> None:
    rows = Rows()
    rows.screen.note_typed_line(line)
    rows.after(refused(line, line.index("-x") + 1))
    assert rows.after() == [" " * (len("dream> ") + cells) + "^", "no (yes)"]


def test_a_line_that_is_not_just_above_is_shown_again() -> None:
    rows = Rows()
    rows.screen.note_typed_line("!replay list.txt")
    rows.after(refused("a cat -x", 7, number=3))
    assert rows.after() == ["  a cat -x", "        ^", "line 3: no (yes)"]


def test_of_a_long_line_the_surroundings_are_shown() -> None:
    line = "a very long line indeed -x and more words that go on"
    rows = Rows(columns=30)
    rows.screen.note_typed_line(line)
    shown, caret, _ = rows.after(refused(line, line.index("-x") + 1))
    assert len(shown) <= 29
    assert shown[caret.index("^") :].startswith("-x and")


@pytest.mark.parametrize("column", [1, 5, 40, 60, 61])
@pytest.mark.parametrize("cells", [8, 17, 200])
@pytest.mark.parametrize("char", ["x", "猫"])
def test_an_excerpt_fits_and_holds_its_column(column: int, cells: int, char: str) -> None:
    line = "".join(char if n % 3 else " " for n in range(60))
    text, before = clip_around(line, column, cells)
    assert clip(text, cells) == text
    assert 0 <= before <= cells
    if column <= 60:
        assert clip(text, before) + line[column - 1] in text + " "


def test_failures_say_why_and_notes_are_set_apart() -> None:
    assert Rows().after(Failed(error=EngineError("dark")), Note(text="floored")) == [
        "failed: dark",
        "· floored",
    ]


def test_a_page_is_set_in_two_columns_where_there_is_room() -> None:
    page = TextOutput(lines=("head", ("-s N", "how many steps"), ("--long_name N", "more")))
    assert Rows().after(page) == [
        "head",
        "-s N           how many steps",
        "--long_name N  more",
    ]
    assert Rows(columns=24).after(page) == [
        "head",
        "-s N",
        "      how many steps",
        "--long_name N",
        "      more",
    ]


def test_escapes_in_a_prompt_never_reach_the_terminal() -> None:
    assert make_printable("a\x1b[2Jb\tc\x9bd 猫 👩‍🚀 ✌️") == "a�[2Jb�c�d 猫 👩‍🚀 ✌️"


def test_an_encoding_without_our_letters_shows_question_marks() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen = Screen(out, columns=lambda: 80, rewrite=True, colour=False)
    screen.show(Loading(model="猫"))
    screen.show(Note(text="wait …"))
    out.seek(0)
    assert out.read().endswith("? wait ?\n")


def test_paths_go_to_a_second_stream_besides() -> None:
    out, paths = io.StringIO(), io.StringIO()
    Screen(out, columns=lambda: 80, rewrite=False, colour=False, paths=paths).show(SAVED)
    assert paths.getvalue() == "out/1.7.png\n"
