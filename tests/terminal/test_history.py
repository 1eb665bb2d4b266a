from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dream.core.errors import GalleryError
from dream.terminal.history_file import LineHistory


def history(path: Path, complaints: list[str] | None = None) -> LineHistory:
    return LineHistory(path, (complaints if complaints is not None else []).append)


def test_each_line_is_on_disk_the_moment_it_is_entered(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / ".dream_history"
    entered = history(path)
    for line in ("a cat", "猫 🐈 -s20", "", "  ", "q", "C:\\new\\folder", "two\nlines"):
        entered.append_string(line)
    assert path.read_text() == "a cat\n猫 🐈 -s20\nC:\\new\\folder\ntwo\\nlines\n"
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, "prompts are private"


def test_the_newest_line_comes_first_for_the_arrow_key(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("one\n\ntwo\r\nthree\n")
    assert list(history(path).load_history_strings()) == ["three", "two", "one"]


def test_of_a_huge_file_the_arrow_key_sees_the_end_and_numbers_count_from_the_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"line {n} {'x' * 1000}\n" for n in range(1, 3001)))
    loaded = list(history(path).load_history_strings())
    assert 1000 < len(loaded) < 1100
    assert loaded[0].startswith("line 3000 ")
    assert all(line.startswith("line ") for line in loaded), "no line is cut in two"
    assert history(path).read_lines()[6].startswith("line 7 ")


def test_a_line_cut_off_by_a_full_disk_is_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("whole\ncut o")
    history(path).append_string("next")
    assert history(path).read_lines() == ["whole", "cut o", "next"]


def test_text_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"caf\xe9\nnext\n")
    assert history(path).read_lines() == ["caf\N{REPLACEMENT CHARACTER}", "next"]


@pytest.mark.parametrize("place", ["a folder", "inside a file"])
def test_without_a_file_it_lasts_as_long_as_the_session(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path if place == "a folder" else tmp_path / "file" / "history"
    complaints: list[str] = []
    entered = history(path, complaints)
    entered.append_string("one")
    entered.append_string("two")
    assert entered.read_lines() == ["one", "two"]
    assert entered.get_strings() == ["one", "two"]
    assert len(complaints) == 1
    assert str(path) in complaints[0]


def enter_many(path: Path, who: str) -> None:
    entered = history(path)
    for n in range(100):
        entered.append_string(f"{who}{n} " + who * 500)


def test_two_sessions_never_tear_each_others_lines(tmp_path: Path) -> None:
    path = tmp_path / "history"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=enter_many, args=(path, who)) for who in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    lines = history(path).read_lines()
    assert sorted(lines) == sorted(f"{who}{n} " + who * 500 for who in "ab" for n in range(100))


def test_a_cleared_history_is_empty_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "history"
    one, other = history(path), history(path)
    one.append_string("secret")
    other.append_string("too")
    one.clear()
    assert path.read_text() == ""
    assert one.get_strings() == one.read_lines() == []
    other.append_string("next")
    assert one.read_lines() == ["next"]
    path.unlink()
    one.clear()
    (tmp_path / "file").touch()
    with pytest.raises(GalleryError, match="cannot clear"):
        history(tmp_path).clear()


def test_ctrl_r_finds_a_line_of_another_session(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("a red circle -S1\na blue square -S2\na green ring -S3\n")
    with create_pipe_input() as pipe:
        session: PromptSession[str] = PromptSession(
            history=history(path), input=pipe, output=DummyOutput()
        )
        pipe.send_text("\x12blue\r\r")
        assert session.prompt() == "a blue square -S2"


def test_what_another_program_wrote_is_read_back_as_lines_without_controls(tmp_path: Path) -> None:
    path = tmp_path / "history"
    controls = "".join(map(chr, [*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x2029]))
    path.write_text(f"a{controls}b\n", encoding="utf-8", newline="")
    for lines in (history(path).read_lines(), list(history(path).load_history_strings())):
        (line,) = lines
        assert line.split() == ["a", "b"] and line.isprintable()
