"""A line of the session's queue, as clients of the server know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dream.core.errors import DreamError
from dream.core.events import Event, Preview, Saved, Step


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Some or all of its images were not made."""
    CANCELLED = "cancelled"


@dataclass
class Job:
    """One line. Written by the thread that runs lines; a reader sees a whole state or a later
    one."""

    number: int
    """That of the line in the queue."""
    line: str
    owner: str = ""
    """The client that submitted it; empty for the prompt."""
    state: JobState = JobState.WAITING
    pictures: int = 0
    """Images it makes; 0 until it runs, if nobody knew."""
    saved: list[Saved] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    """All but the steps, oldest first; the last thousand."""
    dropped: int = 0
    """Events that were forgotten because there were more."""
    step: Step | None = None
    """The latest one, while it runs."""
    preview: Preview | None = None
    """The latest one."""
    error: DreamError | None = None
    """The first one."""
    began: float = 0.0
    """Seconds since 1970; 0 while it waits."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in (JobState.WAITING, JobState.RUNNING)
