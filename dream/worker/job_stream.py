"""The news of a pool's job."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from dream.core.errors import DreamError
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.engine.interface import Progress
from dream.worker.assignment import PoolJob


@dataclass(eq=False)
class JobStream:
    """What a job has reported and nobody has read yet."""

    job: PoolJob
    events: deque[Progress | Note | Loading] = field(default_factory=deque)
    ended: bool = False
    picture: Picture | None = None
    error: DreamError | None = None

    def has_news(self) -> bool:
        """Whether there is anything to read."""
        return self.ended or bool(self.events)
