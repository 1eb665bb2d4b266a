"""A line of several pictures that a crash parts: what is offered again is what was not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.core.events import Saved
from dream.core.request import Request
from dream.line import format_explicitly, parse_line
from dream.queue import FILE_NAME, LineQueue, QueueFile, journal
from tests.fakes import FakeEngine, fake_session


def saved_lines(folder: Path) -> list[str]:
    return journal.read((folder / FILE_NAME).read_bytes())


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("a cat -n3 -g -save_orig -U2", 3),
        ("a cat -n2 -C5,7 -v0.1 --png_compression=1", 4),
        ("a cat -n2 -o elsewhere", 2),
        ("a cat", 1),
    ],
)
@pytest.mark.parametrize("made", [1, 2])
def test_the_pictures_that_are_not_on_disk_are_left_as_lines_of_their_own(
    tmp_path: Path, line: str, count: int, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = fake_session(tmp_path, FakeEngine())
    file = QueueFile(tmp_path, print)
    queue = LineQueue(file)
    queue.put([line, "a dog -S7"])
    assert queue.take() is not None
    saved: list[Saved] = []
    finished: set[str] = set()
    for event in session.make(line):
        if isinstance(event, Saved):
            saved.append(event)
            assert event.left is not None
            rest = [format_explicitly(one, [Request(), session.at_start]) for one in event.left]
            if len(finished) < made:
                queue.keep_rest(len(rest), lambda rest=rest: rest)
                if len(rest) < count - len(finished):
                    finished.add(event.line)
    left = count - min(made, count)
    assert queue.unfinished == left + 1
    assert saved_lines(tmp_path)[-1] == "a dog -S7" and len(saved_lines(tmp_path)) == left + 1
    queue.cancel_all()
    queue.close()
    queue.finish()
    assert len(saved_lines(tmp_path)) == left, "the line being made is kept as far as it is left"
    # Another session makes the very others from them.
    others: list[str] = []
    for one in saved_lines(tmp_path):
        later = fake_session(tmp_path / "later", FakeEngine())
        others += [event.line for event in later.make(one) if isinstance(event, Saved)]
    stages = 2 if "-save_orig" in line else 1
    assert others == [event.line for event in saved[made * stages :]]
    file.close()


def test_what_is_left_says_what_a_session_s_defaults_would_change() -> None:
    base = Request(perlin=0.5, iterations=4)
    wanted = Request(prompt="a cat", seed=1)
    text = format_explicitly(wanted, [Request(), base])
    assert parse_line(text) == parse_line(text, base) == wanted


def test_no_line_is_left_of_a_line_of_several_files(tmp_path: Path) -> None:
    session = fake_session(tmp_path, FakeEngine())
    for _ in session.make("a cat -n2 -S1"):
        pass
    events = [*session.make(f"!fix {session.outdir} -U2")]
    assert [event.left for event in events if isinstance(event, Saved)] == [None, None]


def test_a_line_is_done_once_its_picture_is_on_disk(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, print)
    queue = LineQueue(file)
    queue.put(["a", "b"])
    queue.take()
    queue.keep_rest(0, list)
    assert saved_lines(tmp_path) == ["b"]
    queue.move_to_front(2)
    queue.put(["c"])
    queue.move_to_front(3)
    assert saved_lines(tmp_path) == ["c", "b"]
    queue.finish()
    assert saved_lines(tmp_path) == ["c", "b"] and queue.unfinished == 2
    file.close()
    queue.take()
    queue.keep_rest(2, lambda: ["late", "later"])  # the maker did not end in time
    queue.keep_rest(0, list)
    assert saved_lines(tmp_path) == ["c", "b"]
