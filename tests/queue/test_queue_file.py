from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream.queue import FILE_NAME, LineQueue, QueueFile, journal

KILLED = """
import os, sys
from pathlib import Path
from dream.queue import QueueFile
kept = QueueFile(Path(sys.argv[1]), print)
for count in range(1, 50):
    kept.add([f"line {count - 1}"])
kept.move(48, 0)
kept.remove(1)
os.kill(os.getpid(), 9)
"""


def quiet(text: str) -> None:
    raise AssertionError(text)


def left(folder: Path) -> tuple[str, ...]:
    """What a new session finds."""
    queue_file = QueueFile(folder, quiet)
    lines = queue_file.read_abandoned()
    queue_file.close()
    return lines


def test_a_folder_without_a_queue_stays_as_it_is(tmp_path: Path) -> None:
    queue_file = QueueFile(tmp_path / "outputs", quiet)
    assert queue_file.read_abandoned() == ()
    queue_file.write([])
    queue_file.close()
    assert not (tmp_path / "outputs").exists()


def test_a_killed_session_s_lines_are_found(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    queue_file = QueueFile(tmp_path, quiet)
    assert queue_file.read_abandoned() == ("line 48", *(f"line {n}" for n in range(1, 48)))
    assert (tmp_path / FILE_NAME).exists(), "they stay until they are made or refused"
    queue_file.write(["a\nb", "猫 \udcff"])
    queue_file.close()
    assert left(tmp_path) == ("a b", "猫 ?")


def test_only_their_author_reads_them_and_an_empty_file_is_removed(tmp_path: Path) -> None:
    queue_file = QueueFile(tmp_path, quiet)
    queue_file.write(["a"])
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    queue_file.write([])
    queue_file.close()
    assert list(tmp_path.iterdir()) == []


def test_sessions_at_the_same_time_do_not_touch_each_other_s(tmp_path: Path) -> None:
    first, second = QueueFile(tmp_path, quiet), QueueFile(tmp_path, quiet)
    first.write(["a"])
    second.write(["b"])
    second.write(["b", "c"])
    assert left(tmp_path) == (), "both are held"
    second.close()
    assert left(tmp_path) == ("b", "c")
    assert (tmp_path / FILE_NAME).read_text() == "a\n"
    first.close()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "huge"])
def test_what_stands_in_the_file_s_place_hides_no_other(tmp_path: Path, kind: str) -> None:
    outputs, victim = tmp_path / "outputs", tmp_path / "victim"
    outputs.mkdir()
    victim.write_text("mine\n")
    place = outputs / FILE_NAME
    if kind == "link":
        place.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        with place.open("wb") as file:
            file.truncate(1 << 40)
    (outputs / f"{FILE_NAME}.tmp").symlink_to(victim)
    (outputs / f"{FILE_NAME}.3").write_text("a cat\n")
    queue_file = QueueFile(outputs, quiet)
    assert queue_file.read_abandoned() == ("a cat",) and queue_file.on_disk
    queue_file.leave()
    queue_file.write(["a dog"])
    assert queue_file.on_disk
    queue_file.close()
    assert left(outputs) == ("a dog",)
    assert victim.read_text() == "mine\n"


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    notes: list[str] = []
    queue_file = QueueFile(tmp_path / "file", notes.append)
    assert queue_file.read_abandoned() == ()
    queue_file.write(["a"])
    queue_file.write(["a", "b"])
    assert not queue_file.on_disk
    assert len(notes) == 1 and "queued lines cannot be saved" in notes[0]


def test_lines_that_are_left_stay_and_the_session_has_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("a cat\n")
    (tmp_path / f"{FILE_NAME}.2").write_text("a dog\n")
    queue_file = QueueFile(tmp_path, print)
    assert queue_file.read_abandoned() == ("a cat",)
    queue_file.leave()
    assert queue_file.read_abandoned() == ("a dog",)
    queue_file.leave()
    assert queue_file.read_abandoned() == ()
    queue_file.write(["a hen"])
    queue_file.close()
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert files == {FILE_NAME: "a cat\n", f"{FILE_NAME}.2": "a dog\n", f"{FILE_NAME}.3": "a hen\n"}
    assert left(tmp_path) == ("a cat",)


# ── many lines ─────────────────────────────────────────────────────────────────────────────────


def durable(queue_file: QueueFile) -> None:
    """Wait until the other thread has nothing to do."""
    thread = queue_file._thread
    assert thread is not None
    while queue_file._changed.is_set() or queue_file._stale > len(queue_file._lines) + 100:
        queue_file._changed.set()
        time.sleep(0.001)


def test_a_change_among_ten_thousand_lines_costs_less_than_a_millisecond(tmp_path: Path) -> None:
    queue_file = QueueFile(tmp_path, quiet)
    queue = LineQueue(queue_file)
    queue.put(
        f"a red circle number {n} on a blue field, oil painting -s20 -S{n}" for n in range(10_000)
    )
    began, spent = time.thread_time(), 0.0
    changes = 2000
    for number in range(changes // 4):
        queue.take()
        queue.finish()
        queue.put([f"one more {number}"])
        queue.cancel(9_000 - number)
        queue.move_to_front(5_000 + number)
    spent = time.thread_time() - began
    assert spent / changes < 1e-3
    waiting = tuple(entry.line for entry in queue.waiting)
    queue_file.close()
    assert left(tmp_path) == waiting
    size = (tmp_path / FILE_NAME).stat().st_size
    assert size < 3 * sum(len(line) for line in waiting), "what is past leaves the file"


def test_what_is_past_leaves_the_file_though_lines_come_and_go(tmp_path: Path) -> None:
    queue_file = QueueFile(tmp_path, quiet)
    queue = LineQueue(queue_file)
    for number in range(3000):
        queue.put([f"line {number}"])
        queue.take()
        queue.finish()
    queue.put(["the last"])
    durable(queue_file)
    assert (tmp_path / FILE_NAME).stat().st_size < 20_000
    queue_file.close()
    assert left(tmp_path) == ("the last",)


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_is_said_and_what_follows_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    notes: list[str] = []
    queue_file = QueueFile(tmp_path, notes.append)
    queue_file.add(["a", "b"])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr("dream.queue.queue_file.append", full)
        else:
            patch.setattr(os, failing, full)
        queue_file.add(["c"])
        if failing == "replace":
            queue_file.write(["a", "b", "c"])
        if failing != "fsync":
            assert not queue_file.on_disk
        while not notes:
            time.sleep(0.001)
    queue_file.add(["d"])
    assert queue_file.on_disk
    queue_file.remove(0)
    queue_file.close()
    assert left(tmp_path) == ("b", "c", "d")
    assert len(notes) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_on_windows_an_open_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Windows here: it is made to refuse what Windows refuses."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "The process cannot access the file")

    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "replace", refused)
        queue_file = QueueFile(tmp_path, quiet)
        queue_file.add(["a", "b", "c"])
        queue_file.write(["b"])
        queue_file.add(["d"])
        queue_file.close()
    assert left(tmp_path) == ("b", "d")
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_changes_in_a_file_that_was_torn_or_made_up_end_nothing() -> None:
    assert journal.read(b"a\nb\n#- 9\n#^ 7 0\n#- x\n#- 0\nc") == ["b", "#- x", "c"]
    assert journal.read(journal.format_added(["#- 0", "a\nb"])) == [" #- 0", "a b"]


def test_what_another_program_wrote_is_read_back_as_lines_without_controls(tmp_path: Path) -> None:
    controls = "".join(map(chr, [*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x2029]))
    (tmp_path / FILE_NAME).write_text(f"a{controls}b\n", encoding="utf-8", newline="")
    (line,) = left(tmp_path)
    assert line.split() == ["a", "b"] and line.isprintable()


def test_a_session_continues_in_the_file_of_the_lines_before_it(tmp_path: Path) -> None:
    early, own = QueueFile(tmp_path, quiet), QueueFile(tmp_path, quiet)
    early.add(["one", "two"])
    own.adopt(early)
    assert journal.read((tmp_path / FILE_NAME).read_bytes()) == ["one", "two"], "until it changes"
    own.add(["one", "two", "three"])
    early.write(())
    early.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    own.close()
    assert left(tmp_path) == ("one", "two", "three")


def test_a_session_with_a_file_keeps_its_own(tmp_path: Path) -> None:
    own, early = QueueFile(tmp_path, quiet), QueueFile(tmp_path, quiet)
    own.add(["left by a crash"])
    early.add(["one"])
    own.adopt(early)
    own.add(["one"])
    early.write(())
    early.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    own.close()
    assert left(tmp_path) == ("left by a crash", "one")
