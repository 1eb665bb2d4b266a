from __future__ import annotations

from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, TextOutput, is_queued, run_line
from dream.core.events import Note, Rejected
from dream.queue import LineQueue
from tests.fakes import fake_session


@pytest.fixture
def queue() -> LineQueue:
    """One line being made, and 30 that wait."""
    queue = LineQueue()
    queue.put(f"line {number}" for number in range(1, 32))
    queue.take()
    return queue


def output_of(folder: Path, queue: LineQueue | None, line: str) -> str:
    (event,) = run_line(Context(fake_session(folder), list, COMMANDS, queue=queue), line)
    match event:
        case TextOutput(lines=lines):
            return "\n".join(map(str, lines))
        case Note(text=text):
            return text
        case Rejected(error=error):
            return str(error)
    raise AssertionError(event)


def test_the_queue_is_shown(tmp_path: Path, queue: LineQueue) -> None:
    page = output_of(tmp_path, queue, "!queue").splitlines()
    assert page[:2] == ["  now    1  line 1", "         2  line 2"]
    assert page[-1].strip() == "… and 10 more"
    assert output_of(tmp_path, LineQueue(), "!queue") == "the queue is empty"


def test_lines_are_moved_given_up_and_paused(tmp_path: Path, queue: LineQueue) -> None:
    assert output_of(tmp_path, queue, "!next 9") == "next: line 9"
    assert output_of(tmp_path, queue, "!cancel 2") == "cancelled: line 2"
    assert [entry.number for entry in queue.waiting[:2]] == [9, 3]
    output_of(tmp_path, queue, "!pause")
    assert "paused" in output_of(tmp_path, queue, "!queue")
    assert output_of(tmp_path, queue, "!resume") == "continuing; 29 lines in the queue"
    assert output_of(tmp_path, queue, "!cancel all") == "cancelled 29 lines"
    assert queue.is_cancelled()


@pytest.mark.parametrize("line", ["!cancel x", "!next", "!next ²", "!cancel 99", "!next 1"])
def test_what_is_no_waiting_line_is_refused(tmp_path: Path, queue: LineQueue, line: str) -> None:
    assert "!queue lists" in output_of(tmp_path, queue, line)
    assert len(queue.waiting) == 30


def test_where_each_line_is_made_at_once_there_is_no_queue(tmp_path: Path) -> None:
    assert "this prompt has no queue" in output_of(tmp_path, None, "!queue")


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        ("a cat", True),
        ("!dream a cat", True),
        ("!replay log.txt", True),
        ("!fix -1 -U2", True),
        ("!fix -1 -Q2", False),
        ("!fix", False),
        ("!set steps 3", True),
        ("a cat -n100", True),
        ("a cat -n101", False),
        ("a cat -n101 --yes", True),
        ("a cat -stpes", False),
        ("!replay", False),
        ("!explain a cat", True),
        ("!queue", False),
        ("!help", False),
        ("help", False),
        ("!nothing", False),
        ("# so", False),
        ("", False),
    ],
)
def test_what_makes_pictures_takes_its_turn(tmp_path: Path, line: str, waits: bool) -> None:
    assert is_queued(Context(fake_session(tmp_path), list, COMMANDS), line) is waits
