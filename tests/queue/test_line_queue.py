from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from dream.core.errors import BadLine
from dream.queue import LineQueue, QueuedLine, QueueFile, UncheckedLine, journal
from dream.queue.queue_file import FILE_NAME


def lines(queue: LineQueue) -> list[str]:
    return [entry.line for entry in queue.waiting]


def test_lines_come_out_in_their_order_with_numbers_of_their_own() -> None:
    queue = LineQueue()
    queue.put(["a", "b"])
    assert queue.take() == queue.current == QueuedLine(1, "a")
    queue.finish()
    queue.put(["c"])
    assert queue.waiting == (QueuedLine(2, "b"), QueuedLine(3, "c"))
    assert not queue.idle


def test_taking_waits_for_a_line_and_for_the_end_of_a_pause() -> None:
    queue = LineQueue()
    queue.pause()
    taken: list[QueuedLine | None] = []
    maker = threading.Thread(target=lambda: taken.append(queue.take()))
    maker.start()
    queue.put(["a"])
    maker.join(0.1)
    assert maker.is_alive()
    queue.resume()
    maker.join(10)
    assert taken == [QueuedLine(1, "a")]


def test_a_line_is_moved_up_and_another_given_up() -> None:
    queue = LineQueue()
    queue.put("abcd")
    queue.take()
    assert queue.move_to_front(4).line == "d"
    assert queue.cancel(2).line == "b"
    assert lines(queue) == ["d", "c"]
    for change in (queue.move_to_front, queue.cancel):
        with pytest.raises(BadLine, match="line 7 is not in the queue"):
            change(7)


def test_the_line_being_made_is_given_up_and_its_maker_woken() -> None:
    woken: list[bool] = []
    queue = LineQueue(interrupt=lambda: woken.append(True))
    assert queue.cancel_current() is None
    queue.put("ab")
    queue.take()
    queue.cancel(1)
    assert queue.is_cancelled() and woken == [True]
    queue.finish()
    queue.take()
    assert not queue.is_cancelled(), "the next one is wanted"


def test_all_are_given_up() -> None:
    queue = LineQueue()
    queue.put("abc")
    queue.take()
    assert queue.cancel_all() == 2
    assert queue.is_cancelled() and not queue.waiting
    queue.finish()
    assert queue.idle


class Memory(list[str]):
    """Keeps lines as a list."""

    def add(self, lines: Sequence[str]) -> None:
        self.extend(lines)

    def remove(self, place: int) -> None:  # type: ignore[override]
        del self[place]

    def move(self, place: int, to: int) -> None:
        self.insert(to, self.pop(place))

    def write(self, lines: Sequence[str]) -> None:
        self[:] = lines


def test_what_is_not_done_is_kept_and_a_closed_queue_changes_nothing() -> None:
    kept = Memory()
    queue = LineQueue(kept)  # type: ignore[arg-type]
    queue.put("abcdef")
    queue.take()
    assert kept == ["a", "b", "c", "d", "e", "f"]
    queue.move_to_front(4)
    queue.cancel(3)
    assert kept == ["a", "d", "b", "e", "f"] == ["a", *lines(queue)]
    queue.finish()
    queue.move_to_front(6)
    assert kept == ["f", "d", "b", "e"] == lines(queue)
    queue.take()
    assert queue.cancel_all() == 3
    assert kept == ["f"]
    queue.put("g")
    queue.close()
    queue.finish()
    queue.cancel(7)
    queue.put("h")
    assert kept == ["f", "g"]
    assert queue.take() is None


@pytest.mark.parametrize("seed", range(20))
def test_the_store_holds_what_is_unfinished_in_its_order(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    file = QueueFile(tmp_path, print)
    queue = LineQueue(file)
    unchecked: list[str] = []
    left: list[str] = []
    is_split = False
    numbers = iter(range(10_000))

    def new(prefix: str) -> list[str]:
        return [f"{prefix}{next(numbers)}" for _ in range(dice.randint(1, 3))]

    for _ in range(120):
        match dice.choice(
            ["put", "add", "add", "store", "resolve", "resolve", "take", "rest", "end"]
        ):
            case "put":
                queue.put(new("p"))
            case "add":
                unchecked += (added := new("u"))
                queue.add_unchecked([UncheckedLine(line, False) for line in added])
            case "store":
                queue.store_unchecked()
            case "resolve" if entry := queue.next_unchecked:
                assert entry.line == unchecked.pop(0)
                queue.resolve_unchecked(entry, dice.choice([(), [entry.line], new("r")]))
            case "take" if queue.current is None and queue.waiting:
                left, is_split = [queue.waiting[0].line], False
                queue.take()
            case "rest" if left:
                rest = new("s")[1:]
                queue.keep_rest(len(rest), lambda rest=rest: rest)
                left = left[max(0, len(left) - len(rest)) :] if is_split or not rest else rest
                is_split = is_split or bool(rest)
            case "end" if queue.current:
                queue.finish()
                left = []
            case "end" if queue.waiting and dice.random() < 0.5:
                queue.move_to_front(queue.waiting[-1].number)
            case "end" if queue.waiting:
                queue.cancel(queue.waiting[0].number)
        stored = journal.read((tmp_path / FILE_NAME).read_bytes()) if queue.unfinished else []
        expected = [*left, *lines(queue), *unchecked]
        assert stored == expected[: len(stored)] and len(stored) == queue.unfinished
        assert expected[len(stored) :] == unchecked[len(unchecked) - len(expected) + len(stored) :]
    file.close()
