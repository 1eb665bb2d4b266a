"""Makes the images of a planned batch, several at once, each once and in the plan's order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dream.core.events import Cancelled, Event, Events, Failed, Note, Rejected, Saved
from dream.session.batch_plan import (
    BatchPlan,
    PlannedLine,
    choose_path,
    count_images,
    hold_plan,
    list_plans,
    make_plan,
    remove_plan,
)
from dream.session.engine_events import report_crashes
from dream.session.logged_images import LoggedImages
from dream.session.many_lines import Turns, make_each, make_one_by_one
from dream.session.side_by_side import (
    WINDOW,
    SaveOrder,
    SavePlace,
    SideBySide,
    get_pool,
    has_room,
    wait_for_workers,
)
from dream.session.uninterrupted import interrupt_at_events

if TYPE_CHECKING:
    from dream.session.session import Session


def make_all(session: Session, lines: Iterable[tuple[int, str]], *, dry_run: bool) -> Events[None]:
    """See `Session.make_all`: side by side where there are several workers and all lines are
    known."""
    if dry_run or get_pool(session.engine) is None or not isinstance(lines, Sequence):
        yield from make_one_by_one(session, lines, dry_run=dry_run)
        return
    plan = yield from make_plan(session, lines, "")
    session.rng = random.SystemRandom()
    run = _PlanRun(session, plan)
    yield from run.follow()
    if run.is_cancelled:
        yield Cancelled(finished=run.saved, count=count_images(plan.lines))


def run_batch(session: Session, lines: Iterable[tuple[int, str]], source: str) -> Events[None]:
    """Plan the lines of a file, then make their images. Raises GalleryError."""
    for path in list_plans(session.outdir):
        if BatchPlan.read(path).source == source:
            text = f"an earlier batch of {source} is not complete"
            yield Note(text=f"{text}; dream --resume {path.stem} continues it")
    plan = yield from make_plan(session, lines, source)
    session.rng = random.SystemRandom()
    if plan.lines:
        path = choose_path(session.outdir, source)
        plan.write(path)
        yield from _run(session, plan, path, None)


def resume_batch(session: Session, path: Path) -> Events[None]:
    """Make the images of a batch that are not in the log yet. Raises GalleryError."""
    plan = BatchPlan.read(path)
    session.base = plan.get_base(session.base.outdir)
    for folder in plan.logs:
        if Path(folder).is_dir():
            yield from (Note(text=text) for text in session.outputs.open_gallery(Path(folder)))
    yield from _run(session, plan, path, LoggedImages(plan.logs))


def _run(
    session: Session, plan: BatchPlan, path: Path, logged: LoggedImages | None
) -> Events[None]:
    with hold_plan(path):
        session.logged = logged
        run = _PlanRun(session, plan)
        try:
            yield from run.follow()
        finally:
            session.logged = None
        done = run.saved + (logged.taken if logged else 0)
        again = f"dream --resume {path.stem}"
        if run.is_cancelled:
            yield Cancelled(finished=done, count=count_images(plan.lines))
            yield Note(text=f"the batch is not complete; {again} continues it")
        elif run.failed:
            failed = "1 image" if run.failed == 1 else f"{run.failed} images"
            yield Note(text=f"{failed} failed; {again} tries again")
        else:
            remove_plan(path)


class _PlanRun:
    """One run of a plan."""

    def __init__(self, session: Session, plan: BatchPlan) -> None:
        self._session, self._lines = session, plan.lines
        self._order = SaveOrder()
        self.saved = self.failed = 0
        self.is_cancelled = False

    def follow(self) -> Events[None]:
        """The events of all lines, until Ctrl-C."""
        engine = self._session.engine
        events = wait_for_workers(self._make_all(), engine)
        with suppress(KeyboardInterrupt):
            yield from interrupt_at_events(events, engine.interrupt)

    def _make_all(self) -> Events[None]:
        """The events of all lines. Counts, and yields no Cancelled of a single line."""
        engine = self._session.engine
        pool = get_pool(engine)
        most = WINDOW * pool.count_workers() if pool else 1
        events = SideBySide(
            self._make_each(),
            lambda count: count < most and has_room(engine, self._session.in_flight, WINDOW),
        ).run()
        yield from self._count(events)

    def _count(self, events: Events[None]) -> Events[None]:
        interrupt: KeyboardInterrupt | None = None
        try:
            while True:
                event: Event = next(events) if interrupt is None else events.throw(interrupt)
                interrupt = None
                match event:
                    case Saved():
                        self.saved += 1
                    case Failed() | Rejected():
                        self.failed += 1
                    case Cancelled():
                        continue
                try:
                    yield event
                except KeyboardInterrupt as raised:
                    self.is_cancelled, interrupt = True, raised
        except StopIteration:
            return
        except KeyboardInterrupt:
            self.is_cancelled = True
        finally:
            events.close()

    def _make_each(self) -> Iterator[Events[bool]]:
        for index, line in enumerate(self._lines):
            if self.is_cancelled:
                return
            events = self._make(line, SavePlace(self._order, index, line.images, is_strict=True))
            yield report_crashes(events, line.line, otherwise=False)

    def _make(self, line: PlannedLine, place: SavePlace) -> Events[bool]:
        session, is_cancelled = self._session, True
        try:
            if not line.images:  # it depends on those before
                yield from place.wait()
                session.rng = random.Random(line.draws)
            turns = Turns(place.number + 1, len(self._lines))
            is_cancelled = yield from make_each(session, line.line, line.number, turns, place)
            return is_cancelled
        finally:
            self._order.is_broken |= is_cancelled
            place.leave()


__all__ = ["make_all", "resume_batch", "run_batch"]
