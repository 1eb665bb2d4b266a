"""Runs several generators of events side by side, in one thread.

A generator that has nothing to do yields Waiting; meanwhile the others go on. So several workers
render at once while everything that resolves, numbers and saves stays in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dream.core.events import Event, Events, Waiting
from dream.engine.interface import Engine, PoolEngine
from dream.session.uninterrupted import run_uninterrupted

T = TypeVar("T")

WINDOW = 4
"""Images in flight for each worker: those that are rendered, that wait for a worker, and that wait
until the images before them are saved."""


def get_pool(engine: Engine) -> PoolEngine | None:
    """The engine, if it has several workers."""
    return engine if isinstance(engine, PoolEngine) else None


def has_room(engine: Engine, in_flight: int, for_each: int = 1) -> bool:
    """Whether fewer images are in flight than so many for each worker."""
    pool = get_pool(engine)
    return in_flight < (for_each * pool.count_workers() if pool else 1)


def wait_for_workers(events: Events[T], engine: Engine) -> Events[T]:
    """The events without Waiting: it waits for the workers instead. The KeyboardInterrupt of a
    thread that was woken is raised in the events."""
    pool = get_pool(engine)
    if pool is None:
        return (yield from events)
    interrupt: KeyboardInterrupt | None = None
    try:
        while True:
            event = next(events) if interrupt is None else events.throw(interrupt)
            interrupt = None
            try:
                if not isinstance(event, Waiting):
                    yield event
                elif not event.is_over():
                    pool.wait()
            except KeyboardInterrupt as raised:
                interrupt = raised
            except GeneratorExit:
                events.close()
                raise
    except StopIteration as end:
        result: T = end.value
        return result


class SaveOrder:
    """Has work done in the order of its places, from 0, whoever is ready first."""

    def __init__(self) -> None:
        self._next = 0
        self._left: set[int] = set()
        self.is_broken = False
        """Whether something was interrupted: what comes after it would come too early."""

    def is_turn(self, place: int) -> bool:
        """Whether all places before this one have left."""
        return place <= self._next

    def leave(self, place: int) -> None:
        """Nothing more is done at this place."""
        self._left.add(place)
        while self._next in self._left:
            self._left.remove(self._next)
            self._next += 1


@dataclass(frozen=True)
class SavePlace:
    """A place in such an order."""

    order: SaveOrder = field(default_factory=SaveOrder)
    number: int = 0
    images: tuple[str, ...] = ()
    """The lines of the images that are planned here."""
    is_strict: bool = False
    """Whether nothing is saved behind something that was interrupted."""

    def wait(self) -> Events[None]:
        """Yield Waiting until it is this place's turn."""
        while not self.is_turn():
            yield Waiting(is_over=self.is_turn)

    def is_turn(self) -> bool:
        """Whether all before it have left."""
        return self.order.is_turn(self.number)

    def leave(self) -> None:
        """Nothing more is done here."""
        self.order.leave(self.number)


@dataclass(eq=False)
class _Source:
    events: Events[Any]
    waiting: Waiting | None = None

    @property
    def is_ready(self) -> bool:
        return self.waiting is None or self.waiting.is_over()


@dataclass(eq=False)
class SideBySide:
    """Generators of events that run side by side. `has_room` says of the number of those that run
    whether another may begin; always, if none runs."""

    sources: Iterable[Events[Any]]
    has_room: Callable[[int], bool]
    _running: list[_Source] = field(default_factory=list)

    def run(self) -> Events[None]:
        """Yield the events of all, in the order in which they happen. A KeyboardInterrupt is raised
        in each that runs, in their order, and then here; closing this closes each. An exception in
        one ends all."""
        left = iter(self.sources)
        are_more = True
        try:
            while are_more or self._running:
                while are_more and self._may_begin():
                    if (events := next(left, None)) is None:
                        are_more = False
                    else:
                        self._running.append(_Source(events))
                        yield from self._advance(self._running[-1])
                for source in [one for one in self._running if one.is_ready]:
                    yield from self._advance(source)
                if not self._is_any_ready() and not (are_more and self._may_begin()):
                    yield Waiting(is_over=self._is_any_ready)
        except KeyboardInterrupt:
            yield from run_uninterrupted(self._interrupt())
            raise
        finally:
            for source in self._running:
                source.events.close()

    def _may_begin(self) -> bool:
        return not self._running or self.has_room(len(self._running))

    def _is_any_ready(self) -> bool:
        return not self._running or any(source.is_ready for source in self._running)

    def _advance(self, source: _Source) -> Events[None]:
        """The events of one until it waits or has ended."""
        source.waiting = None
        while (event := next(source.events, None)) is not None:
            if isinstance(event, Waiting):
                source.waiting = event
                return
            yield event
        self._running.remove(source)

    def _interrupt(self) -> Events[None]:
        """Raise KeyboardInterrupt in each, and yield what it still does."""
        while self._running:
            source = self._running[0]
            try:
                event: Event | None = source.events.throw(KeyboardInterrupt())
                while event is not None:
                    if not isinstance(event, Waiting):
                        yield event
                    event = next(source.events, None)
            except (KeyboardInterrupt, StopIteration):
                pass
            self._running.pop(0)
