"""Whether a line takes its turn is decided once, though what it depends on changes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dream.commands import COMMANDS, Context, is_queued, run_line
from dream.queue import LineQueue
from tests.fakes import FakeEngine, fake_session


def test_what_took_its_turn_is_made_and_not_asked_about(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    context = Context(session, tuple, COMMANDS, queue=LineQueue())
    assert is_queued(context, "a cat -s1")
    session.base = replace(session.base, iterations=101)
    names = [event.name for event in run_line(context, "a cat -s1", turn=True)]
    assert names.count("saved") == 101 and "edit" not in names


def test_what_did_not_take_its_turn_makes_no_picture_where_it_was_entered(tmp_path: Path) -> None:
    engine, queue = FakeEngine(), LineQueue()
    context = Context(fake_session(tmp_path, engine), tuple, COMMANDS, queue=queue)
    assert [*run_line(context, "a cat -s1", turn=False)] == []
    assert [entry.line for entry in queue.waiting] == ["a cat -s1"]
    assert [event.name for event in run_line(context, "a cat -s0", turn=False)] == ["refused"]
    assert engine.rendered == []
