"""The jobs of the session: every line of its queue, whoever entered it, under its number.

A job outlives the connection that submitted it. What happens is kept in a bounded ring, each event
with an id, so that a client that was away goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dream.commands.line_runner import LineRunner
from dream.core.events import Cancelled, Event, Failed, LineStarted, Rejected, Saved, Step
from dream.queue import QueuedLine
from dream.web.job import Job, JobState
from dream.web.refusal import without_folders

_MAX_EVENTS = 2000
"""Events that a client may have missed."""
_MAX_JOBS = 500
"""Jobs that are remembered after they ended."""
_MAX_EVENTS_OF_JOB = 1000


Change = Callable[[Job, Event], dict[str, Any]]
"""How an event is written for clients."""


class JobTable:
    """All jobs of a session. Follows the runner as a LineListener, and the queue."""

    def __init__(self, runner: LineRunner, write: Change) -> None:
        """`write` turns an event into the JSON that clients read."""
        self._runner, self._write = runner, write
        self._lock = threading.Lock()
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._ring: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_MAX_EVENTS)
        self._ids = self._forgotten = 0
        self.run = secrets.token_hex(4)
        """Which server the ids of events are from: one that was restarted counts anew."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._will_wake = False
        self._readers_of_steps = 0
        """Counted in the event loop. A reader counts before it looks at the steps."""
        self.is_closed = False
        runner.listeners.append(self)
        runner.queue.watch(self._queue_changed)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the readers of this event loop."""
        self._loop = loop

    def close(self) -> None:
        """End all readers: the server stops."""
        self.is_closed = True
        self._wake()

    # ── reading, from the event loop ───────────────────────────────────────────────────────────

    def get(self, number: int) -> Job | None:
        """The job with this number; None if there is none, or it was long ago."""
        with self._lock:
            return self._jobs.get(number)

    def list_finished(self, most: int = 50) -> list[Job]:
        """The latest jobs that are over, the last first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.is_over][:most]

    def count_open(self, owner: str | None = None) -> int:
        """Jobs that wait or run, of one client or of all."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if not job.is_over]
        return len([job for job in jobs if owner in (None, job.owner)])

    @property
    def last_id(self) -> int:
        """The id of the latest event; 0 if there was none."""
        return self._ids

    def events_after(self, last: int) -> list[tuple[int, dict[str, Any]]] | None:
        """The events after that id, oldest first; None if some were forgotten."""
        with self._lock:
            if last > self._ids or last < self._forgotten:
                return None
            return [entry for entry in self._ring if entry[0] > last]

    @property
    def current(self) -> Job | None:
        """The job that runs; of several, the one that began first."""
        return next(iter(self.running), None)

    @property
    def running(self) -> list[Job]:
        """The jobs that run."""
        found = [self.get(entry.number) for entry in self._runner.queue.running]
        return [job for job in found if job is not None]

    def expect_change(self) -> Callable[[float], Awaitable[bool]]:
        """A function that waits, so many seconds at most, until anything has changed since this
        call; whether it has. Of steps, only within `reading_steps`."""
        changed = self._changed

        async def wait(timeout: float) -> bool:
            if self.is_closed:
                return True
            try:
                async with asyncio.timeout(timeout):
                    await changed.wait()
            except TimeoutError:
                return False
            return True

        return wait

    @contextmanager
    def reading_steps(self) -> Iterator[None]:
        """In the block, steps wake readers. Otherwise they do not: waking the event loop at every
        step of an image that nobody looks at takes time from the worker."""
        self._readers_of_steps += 1
        try:
            yield
        finally:
            self._readers_of_steps -= 1

    async def follow(self, number: int) -> AsyncIterator[Event]:
        """The events of a job, from its first to its last; of its steps only the latest, for a
        slow reader. Ends early if the server stops."""
        with self.reading_steps():
            async for event in self._follow(number):
                yield event

    async def _follow(self, number: int) -> AsyncIterator[Event]:
        job = self.get(number)
        index, step = 0, None
        while job is not None:
            changed, over = self._changed, job.is_over
            events, first = list(job.events), job.dropped
            for event in events[max(0, index - first) :]:
                yield event
            index = first + len(events)
            if job.step is not None and job.step is not step:
                step = job.step
                yield step
            if over or self.is_closed:
                return
            await changed.wait()

    async def finish(self, number: int) -> Job | None:
        """Wait until a job is over or the server stops; None if there is none with this number."""
        job = self.get(number)
        while job is not None:
            changed = self._changed
            if job.is_over or self.is_closed:
                break
            await changed.wait()
        return job

    # ── writing, from any thread ───────────────────────────────────────────────────────────────

    def submit(self, line: str, put: Callable[[], int], *, owner: str, pictures: int) -> Job:
        """The job of a line that `put` adds to the queue and returns the number of."""
        with self._lock:
            number = put()
            job = self._jobs.setdefault(number, Job(number, line))
            job.line, job.owner, job.pictures = line, owner, pictures
        self._publish({"event": "queue"})
        return job

    def announce(self, event: dict[str, Any]) -> None:
        """Tell all clients something that belongs to no job."""
        self._publish(event)

    def begin_line(self, entry: QueuedLine) -> None:
        """Implements LineListener."""
        job = self._job_of(entry)
        job.state, job.began = JobState.RUNNING, time.time()
        self._publish({"event": "queue"})

    def show_event(self, entry: QueuedLine, event: Event) -> None:
        """Implements LineListener."""
        job = self._job_of(entry)
        match event:
            case Step():
                job.preview = event.preview or job.preview
                job.step = event
                if self._readers_of_steps:
                    self._wake()
                return
            case LineStarted(count=count):
                job.pictures = count
            case Saved():
                job.saved.append(event)
            case Failed(error=error) | Rejected(error=error):
                job.error = job.error or without_folders(error)
            case Cancelled():
                job.state = JobState.CANCELLED
        job.events.append(event)
        if len(job.events) > _MAX_EVENTS_OF_JOB:
            del job.events[0]
            job.dropped += 1
        self._publish(self._write(job, event))

    def end_line(self, entry: QueuedLine) -> None:
        """Implements LineListener."""
        job = self._job_of(entry)
        if job.state is JobState.RUNNING:
            job.state = JobState.DONE if job.error is None else JobState.FAILED
        job.step = job.preview = None
        self._publish({"event": "ended", "job": job.number, "state": str(job.state)})

    def _job_of(self, entry: QueuedLine) -> Job:
        with self._lock:
            return self._jobs.setdefault(entry.number, Job(entry.number, entry.line))

    def _queue_changed(self) -> None:
        """From within the queue, which is locked: look at it soon, from elsewhere."""
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._read_queue)
            except RuntimeError:  # closed meanwhile
                return

    def _read_queue(self) -> None:
        """Add the lines that the prompt has entered; those that left without a turn were
        cancelled."""
        queue = self._runner.queue
        with self._lock:  # so that `submit` does not come in between
            waiting = {entry.number: entry for entry in queue.waiting}
            running = queue.running
            for entry in waiting.values():
                self._jobs.setdefault(entry.number, Job(entry.number, entry.line))
            here = {*waiting, *(entry.number for entry in running)}
            for job in self._jobs.values():
                if job.state is JobState.WAITING and job.number not in here:
                    job.state = JobState.CANCELLED
            over = [number for number, job in self._jobs.items() if job.is_over]
            for number in over[:-_MAX_JOBS]:
                del self._jobs[number]
        self._publish({"event": "queue"})

    def _publish(self, event: dict[str, Any]) -> None:
        with self._lock:
            if event == {"event": "queue"} and self._ring and self._ring[-1][1] == event:
                self._ring.pop()  # one is as good as many
            if len(self._ring) == _MAX_EVENTS:
                self._forgotten = self._ring[0][0]
            self._ids += 1
            self._ring.append((self._ids, event))
        self._wake()

    def _wake(self) -> None:
        """Wake every reader, once for all changes until they run."""
        if self._loop is None or self._will_wake:
            return
        self._will_wake = True
        try:
            self._loop.call_soon_threadsafe(self._wake_readers)
        except RuntimeError:  # the loop is closed
            self._will_wake = False

    def _wake_readers(self) -> None:
        self._will_wake = False
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
