"""The client against workers that die, hang, or cannot work: `tests.worker.fake_host`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from dream.catalogue import ModelRegistry
from dream.core.errors import SetupError, WorkerDied
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine.interface import DeviceConfig, EngineEvent, Progress
from dream.worker import WorkerEngine, client
from dream.worker import start_worker as start
from tests.recipes import recipe
from tests.worker.fake_host import START


def is_made(events: Iterator[EngineEvent]) -> bool:
    return isinstance([*events][-1], Picture)


def until_it_fails(events: Iterator[EngineEvent]) -> tuple[list[str], str]:
    """The notes on the way, and what was raised."""
    notes: list[str] = []
    with pytest.raises(WorkerDied) as caught:
        for event in events:
            if isinstance(event, Note):
                notes.append(event.text)
    return notes, str(caught.value)


def test_three_deaths_give_the_picture_up_and_the_next_line_goes_on(
    fake_engine: WorkerEngine,
) -> None:
    notes, error = until_it_fails(fake_engine.render(recipe(prompt="die")))
    assert notes == 2 * [
        "the worker died (signal 9); starting another and rendering this image again"
    ]
    assert "died 3 times on this image; the last time: signal 9" in error
    assert is_made(fake_engine.render(recipe()))


def test_its_last_words_are_passed_on(fake_engine: WorkerEngine) -> None:
    notes, error = until_it_fails(fake_engine.render(recipe(prompt="leave")))
    assert all("(exit status 7: my last words)" in note for note in notes)
    assert "exit status 7: my last words" in error


def test_a_worker_that_died_while_idle_is_replaced(fake_engine: WorkerEngine) -> None:
    assert is_made(fake_engine.render(recipe()))
    assert fake_engine._worker is not None
    fake_engine._worker._process.kill()
    fake_engine._worker._process.wait()
    fake_engine.preload("random")  # says nothing, for nobody listens
    events = [*fake_engine.render(recipe())]
    assert [h.text for h in events if isinstance(h, Note)] == [
        "the worker died (signal 9); starting another and rendering this image again"
    ]
    assert is_made(iter(events))


def test_whoever_waits_for_a_picture_is_woken_and_the_next_one_is_made(
    fake_engine: WorkerEngine,
) -> None:
    fake_engine.interrupt()  # nobody waits
    running = fake_engine.render(recipe(prompt="wait"))
    next(h for h in running if isinstance(h, Progress))
    Timer(0.2, fake_engine.interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        next(running)
    fake_engine.interrupt()
    assert is_made(fake_engine.render(recipe()))


def test_one_that_does_not_let_go_of_a_cancelled_picture_is_replaced(
    fake_engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CANCEL_TIMEOUT", 0.1)
    running = fake_engine.render(recipe(prompt="hang"))
    next(h for h in running if isinstance(h, Progress))
    running.close()
    events = [*fake_engine.render(recipe())]
    (note,) = [h for h in events if isinstance(h, Note)]
    assert "did not stop the cancelled image" in note.text
    assert is_made(iter(events))


def test_one_that_let_go_is_not_hurried_however_late_the_next_line(
    fake_engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CANCEL_TIMEOUT", 0.0)
    running = fake_engine.render(recipe(prompt="wait"))
    next(h for h in running if isinstance(h, Progress))
    running.close()
    worker = fake_engine._worker
    assert worker is not None
    while worker.over < 1:
        time.sleep(0.01)
    events = [*fake_engine.render(recipe())]
    assert not [h for h in events if isinstance(h, Note)]
    assert is_made(iter(events)) and fake_engine._worker is worker


def test_what_is_broken_is_said_for_each_line_until_it_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "START", START)
    engine = WorkerEngine(ModelRegistry([Path()]), DeviceConfig(device="broken"))
    for _ in range(2):
        with pytest.raises(SetupError, match="half of it is not installed"):
            [*engine.render(recipe())]
    engine.close()
