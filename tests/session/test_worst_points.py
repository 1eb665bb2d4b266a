"""A worker killed or stopped at every message, and a program that is killed at every call to the
disk, while lines of a queue are made: pictures, log, memory and queue agree."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from dream.core.events import Cancelled, Event, Failed, Note, Planned, Rejected, Saved
from dream.core.request import Request
from dream.gallery import LOG_NAME, read_log
from dream.line import format_explicitly
from dream.queue import FILE_NAME, LineQueue, QueueFile, follow_until_cancelled
from dream.session import Session
from dream.terminal.history_file import FILE_NAME as HISTORY
from dream.terminal.history_file import LineHistory
from dream.worker import WorkerEngine, client
from dream.worker import stall_detector as silence
from dream.worker import start_worker as start
from scripts.forked import fork_worker
from tests.fakes import FakeEngine, fake_registry, fake_session
from tests.faults import CHANGES, Points, runs, watch_disk, watch_reads
from tests.gallery.checks import sound
from tests.gallery.test_crash import fork
from tests.session.test_interrupts import agree, logged, pictures
from tests.worker import fake_host
from tests.worker.fake_host import FAULT

if sys.platform == "win32":
    pytest.skip("sends POSIX signals", allow_module_level=True)

LINES = ("a red circle -s1 -S1", "a blue square -s1 -S2 -C5,7 -U2 -save_orig", "a cat -s1 -S9")


class DirectQueueFile(QueueFile):
    """What the other thread does is done with each change: so it has its place among the points."""

    def _change(self, data: bytes, stale: int) -> None:
        self._thread = threading.current_thread()
        super()._change(data, stale)
        try:
            self._flush()
        except OSError as error:
            self._report_error(error)

    def close(self) -> None:
        self._thread = None
        super().close()


def make_lines(
    session: Session, complain: Callable[[str], None], entered: Callable[[], None]
) -> list[Event]:
    """The lines, entered and made as at the prompt."""
    events: list[Event] = []
    LineHistory(session.outdir / HISTORY, complain).append_strings(LINES)
    file = DirectQueueFile(session.outdir, complain)
    queue = LineQueue(file)
    file.read_abandoned()
    queue.put(LINES)
    entered()
    for _ in LINES:
        entry = queue.take()
        assert entry is not None
        for event in session.make(entry.line):
            events.append(event)
            if isinstance(event, Saved):
                assert event.left is not None
                rest = [format_explicitly(one, [Request()]) for one in event.left]
                queue.keep_rest(len(rest), lambda rest=rest: rest)  # type: ignore[misc]
        queue.finish()
    queue.close()
    file.close()
    return events


def left_in_queue(session: Session) -> list[str]:
    """The pictures that a later session is offered."""
    file = QueueFile(session.outdir, print)
    lines = file.read_abandoned()
    file.leave()
    return [
        event.line for one in lines for event in session.plan(one) if isinstance(event, Planned)
    ]


def made(outdir: Path) -> list[str]:
    """The lines that the log holds."""
    if not (outdir / LOG_NAME).exists():
        return []
    events = (line.partition(": ")[2] for _, line in read_log(outdir / LOG_NAME))
    return [line.partition(" # ")[0].strip() for line in events]


def recovered(folder: Path) -> Session:
    """The session that starts next in the folder."""
    session = fake_session(folder, FakeEngine())
    session.outputs.open_gallery(session.outdir)
    return session


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # threads of other tests
def test_killed_at_any_call_to_the_disk(tmp_path: Path) -> None:
    whole = fake_session(tmp_path / "whole", FakeEngine())
    make_lines(whole, print, lambda: None)
    wanted = {line for line in made(whole.outdir)}
    originals = {line for line in wanted if "blue" in line and " -U" not in line}
    assert len(wanted) == 6 and len(originals) == 2

    def work(at: int) -> None:
        session = fake_session(tmp_path / str(at), FakeEngine())
        points = Points(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda file: None)
            mark = os.mkdir
            watch_disk(patch, points, CHANGES)
            make_lines(session, print, lambda: mark(tmp_path / str(at) / "entered"))

    for at in runs():
        folder = tmp_path / str(at)
        finished = fork(partial(work, at))
        later = recovered(folder)
        on_disk, offered = made(later.outdir), left_in_queue(later)
        agree(later, [])
        assert len(on_disk) == len(set(on_disk)), at
        if (folder / "entered").exists():
            assert set(on_disk) | set(offered) | originals == wanted, f"lost at {at}"
        assert len(set(on_disk) & set(offered)) <= 1, f"made twice at {at}"
        if finished:
            assert not offered and at > 40
            return


@pytest.mark.parametrize(("error", "for_ever"), [(errno.EIO, False), (errno.ENOSPC, True)])
def test_the_disk_refuses_any_call(error: int, for_ever: bool, tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(error, os.strerror(error))

    for at in runs():
        session = fake_session(tmp_path / str(at), FakeEngine())
        complaints: list[str] = []
        points = Points(at, refuse, for_ever=for_ever)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda file: None)
            watch_disk(patch, points, CHANGES)
            events = make_lines(session, complaints.append, lambda: None)
        try:
            check_refused(session, events, complaints)
        except AssertionError as failed:
            raise AssertionError(f"at {points.here()}: {failed}") from failed
        if not points.struck:
            assert at > 60 and not complaints
            return


def check_refused(session: Session, events: list[Event], complaints: list[str]) -> None:
    """What must hold after calls to the disk were refused, in this session and in the next."""
    saved = {event.path for event in events if isinstance(event, Saved)}
    failed = [event for event in events if isinstance(event, Failed | Rejected)]
    assert not [event for event in events if isinstance(event, Cancelled)]
    assert len(saved) + len(failed) >= len(LINES), "each line has a result"
    assert saved == {session.outdir / name for name in pictures(session.outdir)}
    assert {image.path for image in session.saved} <= saved
    of_queue = [text for text in complaints if text.startswith("queued lines")]
    assert len(of_queue) <= 1 and len(complaints) - len(of_queue) <= 1
    entered = LineHistory(session.outdir / HISTORY, print).read_lines()
    assert tuple(entered) == LINES or (set(entered) <= set(LINES) and complaints != of_queue)
    later = recovered(session.outdir.parent)
    agree(later, [])
    offered = left_in_queue(later)
    assert not offered or of_queue, "it was reported that lines cannot be saved"
    for file in (*later.outdir.glob(f"{FILE_NAME}*"), *later.outdir.glob(HISTORY)):
        file.unlink()
    sound(later.outdir)


def test_the_disk_refuses_to_be_read_at_any_call(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for at in runs():
        session = fake_session(tmp_path / str(at), FakeEngine())
        complaints: list[str] = []
        points = Points(at, refuse)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda file: None)
            watch_reads(patch, points, session.outdir)
            events = make_lines(session, complaints.append, lambda: None)
        try:
            check_refused(session, events, complaints)
        except AssertionError as failed:
            raise AssertionError(f"at {points.here()}: {failed}") from failed
        if not points.struck:
            assert at > 60 and not complaints
            return


@dataclass
class Person:
    """Presses Ctrl-C once, where a worker is stopped, and waits two seconds at most."""

    engine: WorkerEngine
    events: list[Event] = field(default_factory=list)
    pressed_at: float = 0.0
    times: int = 0

    def has_pressed(self) -> bool:
        """Whether the line is given up."""
        return bool(self.pressed_at)

    def look(self, event: Event) -> None:
        """What is shown."""
        self.events.append(event)
        if isinstance(event, Note) and "is stopped" in event.text and not self.times:
            self.pressed_at, self.times = time.monotonic(), 1
            self.engine.interrupt()
        if isinstance(event, Cancelled):
            assert time.monotonic() - self.pressed_at < 2
            self.pressed_at = 0.0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # threads of other tests
@pytest.mark.parametrize("fault", ["KILL", "STOP"])
def test_a_worker_is_lost_at_any_message(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "start", partial(fork_worker, fake_host.main))
    monkeypatch.setattr(silence, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(client, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(client, "STOPPED_CANCEL_TIMEOUT", 0.05)
    order = tmp_path / "fault"
    monkeypatch.setenv(FAULT, str(order))
    for at in runs():
        order.write_text(f"{fault} {at}")
        engine = WorkerEngine(fake_registry(tmp_path / "models"))
        base = Request(outdir=str(tmp_path / str(at)))
        session = Session(engine, engine._opening.registry, base)
        person = Person(engine)
        for number in range(2):
            for _ in range(3):  # a line that was given up is entered again
                before = len(session.saved)
                line = f"a cat -s1 -S{number} -U2"
                follow_until_cancelled(
                    session.make_all([(1, line)]), person.has_pressed, person.look
                )
                if len(session.saved) > before:
                    break
        engine.close()
        assert len(logged(session.outdir)) == 2, f"at {at}: {person.events}"
        agree(session, person.events)
        sound(session.outdir)
        assert fault == "STOP" or not [
            e for e in person.events if isinstance(e, Cancelled | Failed)
        ]
        if order.exists():
            assert at > 15
            return


def test_a_model_that_cannot_be_read_again_is_an_error_of_its_line(tmp_path: Path) -> None:
    session = fake_session(tmp_path, FakeEngine())
    index = tmp_path / "models" / "tiny" / "model_index.json"
    opened = os.open
    rejected: list[str] = []

    def refuse() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for at in runs():
        points = Points(at, refuse)

        def open_index(path: str | Path, *rest: int, points: Points = points) -> int:
            if Path(path) == index:
                points.reach("open")
            return opened(path, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", open_index)
            *_, last = session.make(f"a cat -s1 -S{at}")
        rejected += [str(last.error)] if isinstance(last, Rejected) else []
        *_, last = session.make(f"a dog -s1 -S{at}")
        assert isinstance(last, Saved), "the next line reads it"
        if not points.struck:
            break
    assert at > 4 and len(rejected) == 2
    assert all("cannot be read" in text for text in rejected), rejected
