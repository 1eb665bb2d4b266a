"""Ctrl-C and a failing disk at every event and every call to the disk, at every front door:
afterwards the pictures, the log, the session's memory and what was said agree."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dream.core.events import Cancelled, Event, Failed, ImageDone, LineStarted, Saved
from dream.core.interrupts import Interrupts
from dream.gallery import LOG_NAME, read_log
from dream.queue import follow_until_cancelled
from dream.session import Session
from tests.fakes import FakeEngine, fake_session
from tests.faults import CHANGES, Points, runs, watch_disk
from tests.gallery.checks import sound

LINES = (
    "a red circle -s1 -S1",
    "a blue square -s1 -S2 -n2 -U2 -save_orig -g",
    "a cat -s2 -S4 -U2 --fnformat {bogus}.png",
)
"""What a line can make: pictures with stages and without, the picture from before them, a sheet,
and a note before the picture is kept."""

Door = Callable[[Session, Points], list[Event]]


def by_signal(session: Session, points: Points) -> list[Event]:
    """The shell and the plain prompt: SIGINT is handled."""
    received: list[Event] = []

    def show(event: Event) -> None:
        received.append(event)
        points.reach(event.name)

    with Interrupts() as interrupts:
        interrupts.follow(session.make_all(list(enumerate(LINES, 1))), show)
    return received


def by_flag(session: Session, points: Points) -> list[Event]:
    """The living prompt: another thread gives the line up, at any moment."""
    received: list[Event] = []
    given_up: list[int] = []

    def give_up(number: int, frame: object) -> None:
        given_up.append(number)
        session.engine.interrupt()

    def show(event: Event) -> None:
        received.append(event)
        points.reach(event.name)

    former = signal.signal(signal.SIGINT, give_up)
    try:
        follow_until_cancelled(
            session.make_all(list(enumerate(LINES, 1))), lambda: bool(given_up), show
        )
    finally:
        signal.signal(signal.SIGINT, former)
    return received


def by_loop(session: Session, points: Points) -> list[Event]:
    """Python: KeyboardInterrupt is raised wherever the program is."""
    received: list[Event] = []
    events = session.make_all(list(enumerate(LINES, 1)))
    with suppress(KeyboardInterrupt):
        for event in events:
            received.append(event)
            points.reach(event.name)
    events.close()
    return received


def pictures(outdir: Path) -> set[str]:
    return {path.name for path in outdir.glob("*.png") if ".grid." not in path.name}


def logged(outdir: Path) -> list[str]:
    if not (outdir / LOG_NAME).exists():
        return []
    lines = [line for _, line in read_log(outdir / LOG_NAME) if not line.startswith("#")]
    return [Path(line.partition(": ")[0]).name for line in lines]


def agree(session: Session, received: list[Event]) -> None:
    """What must hold once a session has ended its lines, however they ended."""
    outdir = session.outdir
    saved = [event.path.name for event in received if isinstance(event, Saved)]
    on_disk = pictures(outdir)
    assert sorted(logged(outdir)) == sorted(on_disk), "a picture and its line"
    assert set(saved) <= on_disk and len(set(saved)) == len(saved)
    remembered = [kept.path.name for kept in session.saved]
    assert set(remembered) <= on_disk
    if saved:
        assert remembered[-1] == saved[-1], "-1 is the last one"


def true_counts(received: list[Event]) -> None:
    """What is said of a line that was given up is what was said of its pictures."""
    finished: set[int] = set()
    for event in received:
        match event:
            case LineStarted():
                finished = set()
            case Saved(request=request):
                finished.add(request.seed or 0)
            case Cancelled(finished=count, count=of) if of:
                assert count == len(finished)


def nothing_made_is_lost(received: list[Event]) -> None:
    for event, following in zip(received, [*received[1:], None], strict=True):
        if isinstance(event, ImageDone):
            rest = received[received.index(event) + 1 :]
            later = next((e for e in rest if isinstance(e, Saved | Failed)), None)
            assert isinstance(later, Saved), f"made, and then {following}"


@pytest.mark.parametrize(
    ("door", "links"), [(by_signal, True), (by_signal, False), (by_flag, True), (by_loop, True)]
)
def test_ctrl_c_at_any_point(
    door: Door, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def link(source: Path, target: Path) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "link", link)
    for at in runs():
        session = fake_session(tmp_path / str(at), FakeEngine())
        points = Points(at, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda file: None)  # a point, but it need not take its time
            watch_disk(patch, points, CHANGES, after=True)
            received = door(session, points)
        try:
            if door is not by_loop:
                assert points.struck == any(isinstance(event, Cancelled) for event in received)
                assert not [path for path in session.outdir.rglob(".*")], "nothing is left behind"
                nothing_made_is_lost(received)
                true_counts(received)
                agree(session, received)
            kept = {saved.path for saved in session.saved}
            assert all(path.exists() for path in kept), "-1 is there"
            before = logged(session.outdir)
            fake_session(tmp_path / str(at)).outputs.open_gallery(session.outdir)
            assert logged(session.outdir) == before, "each picture had its line already"
            if session.outdir.exists():
                sound(session.outdir)
        except AssertionError as error:
            raise AssertionError(f"at {points.here()}: {error}") from error
        if not points.struck:
            assert at > 100
            return
