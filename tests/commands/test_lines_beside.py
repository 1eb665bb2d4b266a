"""Lines of a queue on several workers: order, barriers, fairness, cancelling."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.events import Cancelled, Event, Failed, Rejected, Saved, Step
from dream.queue import LineQueue, QueuedLine
from dream.session import Session
from tests.fake_workers import FakeWorker, fake_pool, pooled_session
from tests.fakes import FakeEngine
from tests.session.test_side_by_side import logged

LONGEST = 20.0


@dataclass
class Listener:
    """Remembers what happens, and lets tests wait for it."""

    happened: list[tuple[str, int, Event | None]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def _add(self, what: str, entry: QueuedLine, event: Event | None = None) -> None:
        with self.changed:
            self.happened.append((what, entry.number, event))
            self.changed.notify_all()

    def begin_line(self, entry: QueuedLine) -> None:
        self._add("begin", entry)

    def show_event(self, entry: QueuedLine, event: Event) -> None:
        self._add("event", entry, event)

    def end_line(self, entry: QueuedLine) -> None:
        self._add("end", entry)

    def numbers(self, what: str) -> list[int]:
        return [number for one, number, _ in self.happened if one == what]

    def events(self, kind: type[Event]) -> list[int]:
        return [number for _, number, event in self.happened if isinstance(event, kind)]

    def wait(self, ended: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.numbers("end")) >= ended, LONGEST)

    def wait_for_begin(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.numbers("begin")) >= count, LONGEST)

    def wait_for_step(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.events(Step), LONGEST)


@dataclass
class Running:
    queue: LineQueue
    listener: Listener
    session: Session
    workers: list[FakeWorker]
    gate: threading.Event
    """Until it is set, lines with the prompt "wait" are not made."""


@contextmanager
def running(folder: Path, count: int = 2) -> Iterator[Running]:
    gate = threading.Event()

    def engine(number: int) -> FakeEngine:
        fake = FakeEngine()

        def on_step(progress: object) -> None:
            if fake.rendered and fake.rendered[-1].prompt.startswith("wait"):
                gate.wait(LONGEST)
            time.sleep(0.001)

        fake.on_step = on_step
        return fake

    pool, workers = fake_pool(count, engine)
    with pooled_session(folder, pool) as session:
        queue = LineQueue(interrupt=pool.interrupt)
        runner = LineRunner(Context(session, lambda: (), COMMANDS, queue=queue), queue)
        bugs: list[BaseException] = []
        runner.on_bug = bugs.append
        listener = Listener()
        runner.listeners.append(listener)
        runner.start()
        try:
            yield Running(queue, listener, session, workers, gate)
        finally:
            gate.set()
            queue.close()
            runner.wait(LONGEST)
        assert not bugs


def test_two_lines_are_made_at_once_and_saved_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.queue.put(["wait here -S1", "a cat -S2", "a dog -S3"])
        run.listener.wait_for_step(2)
        assert [entry.number for entry in run.queue.running][:2] == [1, 2]
        assert not run.listener.events(Saved), "the second waits for the first"
        run.gate.set()
        run.listener.wait(3)
    assert run.listener.events(Saved) == [1, 2, 3]
    assert [" -S1 " in line for line in logged(tmp_path)] == [True, False, False]
    assert run.queue.unfinished == 0


def test_other_clients_do_not_wait_for_a_long_line(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.queue.put(["wait -n20 -S1"], owner="first")
        run.listener.wait_for_begin(1)
        run.queue.put(["a cat -S2"], owner="second")
        run.listener.wait_for_begin(2)
        run.gate.set()
        run.listener.wait(2)
    assert run.listener.numbers("end") == [2, 1], "the short one ends first"


def test_a_line_about_an_earlier_image_waits_for_it(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.queue.put(["a cat -S1 -s9", "a dog on -I -1 -f0.5 -S2", "a bird -S -1", "a bee -S5"])
        run.listener.wait(4)
    assert not run.listener.events(Rejected) and not run.listener.events(Failed)
    first, second, third, _ = logged(tmp_path)
    assert f"-I{first.partition(': ')[0]}" in second and " -S2 " in third


def test_a_command_runs_alone(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.queue.put(["a cat -S1", "!set steps 5", "a dog -S2"])
        run.listener.wait(3)
    assert run.listener.numbers("begin") == run.listener.numbers("end") == [1, 2, 3]
    first, second = logged(tmp_path)
    assert " -s3 " in first and " -s5 " in second


def test_one_of_several_is_cancelled(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.queue.put(["wait -S1", "wait too -S2"])
        run.listener.wait_for_step(1) if run.gate.is_set() else None
        with run.listener.changed:
            run.listener.changed.wait_for(lambda: len(run.listener.numbers("begin")) == 2, LONGEST)
        run.queue.cancel(2)
        run.listener.wait(1)
        assert run.listener.events(Cancelled) == [2]
        assert [entry.number for entry in run.queue.running] == [1]
        run.gate.set()
        run.listener.wait(2)
    assert run.listener.events(Saved) == [1]


def test_closing_keeps_what_is_not_made(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.queue.put(["wait -S1", "wait too -S2", "a dog -S3"])
        with run.listener.changed:
            run.listener.changed.wait_for(lambda: len(run.listener.numbers("begin")) == 2, LONGEST)
    assert run.queue.unfinished == 3 and not (tmp_path / "outputs" / "dream_log.txt").exists()
