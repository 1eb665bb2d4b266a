"""The client at its workers' worst moments: dead at import, stopped, deaf, of another version."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from PIL import Image

from dream.core.errors import EngineError, WorkerDied
from dream.core.events import Note
from dream.core.picture import Picture
from dream.core.stages import UPSCALE
from dream.engine.interface import EngineEvent, Progress
from dream.options.option_type import Upscale
from dream.worker import WorkerEngine, client
from dream.worker import stall_detector as silence
from dream.worker import start_worker as start
from dream.worker import worker_process as process
from tests.recipes import recipe
from tests.worker.fake_host import START
from tests.worker.test_client import is_made, until_it_fails

DIES = "import os, sys; print('ImportError: no module named torch', flush=True); os._exit(1)"
"""In place of `START`: a worker that dies at import."""
DEAF = "import time; time.sleep(600)"
"""One that reads nothing."""


def worker_of(fake_engine: WorkerEngine) -> process.WorkerProcess:
    assert fake_engine._worker is not None
    return fake_engine._worker


def large() -> Picture:
    """More than a socket holds: its sender waits until the other side reads."""
    wanted = recipe(upscale=Upscale(2.0, 0.5), upscaler="none")
    return Picture(Image.effect_noise((1024, 512), 50).convert("RGB"), wanted)


def fails(events: Iterator[EngineEvent]) -> str:
    with pytest.raises(WorkerDied) as caught:
        for _ in events:
            pass
    return str(caught.value)


def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each worker process that is started."""
    begun: list[int] = []
    popen = subprocess.Popen

    def watched(*words: object, **named: object) -> object:
        begun.append(len(begun))
        return popen(*words, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", watched)
    return begun


def test_a_worker_that_dies_at_import_is_not_started_for_every_line(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    monkeypatch.setattr(start, "START", DIES)
    begun = started(monkeypatch)
    for _ in range(3):
        message = fails(fake_engine.render(recipe()))
        assert message.startswith("the worker fails to start: exit status 1: ImportError: ")
        fake_engine.preload("random")
    assert len(begun) == 3
    monkeypatch.setattr(client, "get_install_times", lambda: (1.0,))  # something was
    assert "no module named torch" in fails(fake_engine.render(recipe()))
    assert len(begun) == 4
    fake_engine.restart()
    monkeypatch.setattr(start, "START", START)
    assert is_made(fake_engine.render(recipe()))


def test_deaths_on_a_picture_do_not_count_as_deaths_at_import(fake_engine: WorkerEngine) -> None:
    for _ in range(2):
        until_it_fails(fake_engine.render(recipe(prompt="die")))
    assert is_made(fake_engine.render(recipe()))


def test_no_process_can_be_started(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    def refuses(*words: object, **named: object) -> object:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = len([*Path("/proc/self/fd").iterdir()])
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuses)
        fake_engine.preload("random")
        assert "Resource temporarily unavailable" in fails(fake_engine.render(recipe()))
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    fake_engine.restart()
    assert is_made(fake_engine.render(recipe()))


def test_a_worker_that_dies_while_a_large_picture_is_sent_to_it(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    reads = "import os, socket, sys; s = socket.socket(fileno=int(sys.argv[1])); n = 0"
    for taken in (0, 4, 300_000, 900_000):
        reading = f"\nwhile n < {taken}: n += len(s.recv(min(65536, {taken} - n)))\nos._exit(9)"
        monkeypatch.setattr(start, "START", reads + reading)
        fake_engine.restart()
        message = fails(fake_engine.finish(large(), UPSCALE))
        assert "exit status 9" in message
    fake_engine.restart()
    monkeypatch.setattr(start, "START", START)
    assert is_made(fake_engine.finish(large(), UPSCALE))


def test_sending_to_a_worker_that_reads_nothing_is_given_up_at_once(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    monkeypatch.setattr(start, "START", DEAF)
    Timer(0.2, fake_engine.interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        [*fake_engine.finish(large(), UPSCALE)]
    assert time.monotonic() - began < 2


def test_sending_to_a_worker_that_reads_nothing_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    monkeypatch.setattr(process, "SENDING_PATIENCE", 0.1)
    monkeypatch.setattr(start, "START", DEAF)
    assert "received nothing for" in fails(fake_engine.finish(large(), UPSCALE))


def test_an_answer_that_cannot_be_read_is_the_worker_s_death(fake_engine: WorkerEngine) -> None:
    notes, error = until_it_fails(fake_engine.render(recipe(prompt="unreadable")))
    assert len(notes) == 2
    assert "its answer cannot be read" in error and "NoSuch" in error
    assert is_made(fake_engine.render(recipe()))


def test_whatever_ends_the_listener_is_the_worker_s_death(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    def starved(data: object) -> object:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("dream.worker.channel._Reader", starved)
        assert "MemoryError" in fails(fake_engine.render(recipe()))
    assert is_made(fake_engine.render(recipe()))


def test_an_order_that_the_worker_cannot_read_is_answered(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    real = process.pack_message
    with monkeypatch.context() as patch:
        patch.setattr(
            process,
            "pack_message",
            lambda message: real(message)[:8] + b"cdream.worker.protocol\nNoSuch\n.",
        )
        monkeypatch.setattr(
            start, "START", start.START.replace("tests.worker.fake_host", "dream.worker.server")
        )
        with pytest.raises(EngineError, match="NoSuch"):
            [*fake_engine.render(recipe())]


def test_a_stopped_worker_is_noticed_and_given_up(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    monkeypatch.setattr(silence, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(client, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(client, "STOPPED_CANCEL_TIMEOUT", 0.1)
    running = fake_engine.render(recipe(prompt="wait"))
    next(h for h in running if isinstance(h, Progress))
    pid = worker_of(fake_engine).pid
    os.kill(pid, signal.SIGSTOP)
    note = next(running)
    assert isinstance(note, Note)
    assert note.text.startswith("the worker is stopped; kill -CONT ")
    Timer(0.2, fake_engine.interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert is_made(fake_engine.render(recipe())), "another takes its place"
    assert worker_of(fake_engine).pid != pid


def test_silence_for_long_is_said_each_time_it_has_doubled(
    monkeypatch: pytest.MonkeyPatch, fake_engine: WorkerEngine
) -> None:
    monkeypatch.setattr(silence, "SILENCE_LIMIT", 0.05)
    monkeypatch.setattr(client, "POLL_INTERVAL", 0.05)
    running = fake_engine.render(recipe(prompt="hang"))
    next(h for h in running if isinstance(h, Progress))
    for _ in range(2):
        note = next(running)
        assert isinstance(note, Note) and "no step for" in note.text
        assert "Ctrl-C cancels the image" in note.text
    fake_engine.restart()
    note = next(running)
    assert isinstance(note, Note) and note.text.startswith("the worker was restarted")


def test_restarting_an_idle_worker_says_nothing_to_the_next_picture(
    fake_engine: WorkerEngine,
) -> None:
    assert is_made(fake_engine.render(recipe()))
    pid = worker_of(fake_engine).pid
    fake_engine.restart()
    events = [*fake_engine.render(recipe())]
    assert not [h for h in events if isinstance(h, Note)]
    assert worker_of(fake_engine).pid != pid


def test_on_windows_the_socket_is_shared_with_the_one_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No Windows here: what it is asked for is seen, and what the worker makes of it."""
    wanted: dict[str, object] = {}

    class Child:
        pid = 4711
        stdin = (tmp_path / "shared").open("wb")

    def popen(words: list[str], **named: object) -> Child:
        wanted.update(named, end=words[4])
        return Child()

    class End:
        def share(self, pid: int) -> bytes:
            return f"a socket for {pid}".encode()

        def fileno(self) -> int:
            return 3

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "Popen", popen)
    with (tmp_path / "said").open("wb") as output:
        start.start(End(), output)  # type: ignore[arg-type]
    assert wanted["end"] == start.SHARED
    assert "pass_fds" not in wanted and "start_new_session" not in wanted
    with (tmp_path / "shared").open() as shared:
        monkeypatch.setattr(sys, "stdin", shared)
        monkeypatch.setattr(socket, "fromshare", lambda data: data, raising=False)
        assert start.open_inherited(start.SHARED) == b"a socket for 4711"  # type: ignore[comparison-overlap]
