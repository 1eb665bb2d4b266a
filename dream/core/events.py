"""Events that `Session.make` yields while images are generated, for every front end to show.

In the order of one line: `Loading?  LineStarted  (Step* ImageDone Saved+)*  Grid?`, with a `Note`
anywhere, and `Rejected`, `Failed` or `Cancelled` if it ends early.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dream.core.errors import DreamError
from dream.core.recipe import Recipe
from dream.core.request import Request, to_dict

JSON_SCHEMA = 1
"""The version of the events as JSON (docs/agents.md). Within it, keys and events are only added."""


@dataclass(frozen=True)
class Preview:
    """A small preview of an unfinished image."""

    width: int
    height: int
    rgb: bytes
    """width * height * 3 bytes, row by row from the top left."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base class. `name` is its "event" in JSON."""

    name: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The event as one JSON object, keys in a stable order."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.repr}
        return {
            "event": self.name,
            **{key: value for key, value in values.items() if value is not None},
        }


@dataclass(frozen=True, kw_only=True)
class Loading(Event):
    """A model is being loaded."""

    name: ClassVar[str] = "loading"
    model: str


@dataclass(frozen=True, kw_only=True)
class LineStarted(Event):
    """A line was resolved into `count` images, which are generated next."""

    name: ClassVar[str] = "queued"
    count: int
    line: str
    request: Request
    turn: int | None = None
    """Which line it is of the `turns` lines of a file, from 1; None if unknown."""
    turns: int | None = None

    def to_json(self) -> dict[str, Any]:
        """With the version of the schema, since each line begins with this event."""
        return super().to_json() | {"schema": JSON_SCHEMA}


@dataclass(frozen=True, kw_only=True)
class Planned(Event):
    """An image that would be generated (--dry_run)."""

    name: ClassVar[str] = "planned"
    line: str
    request: Request


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """One denoising step, or one tile of upscaling, of image `picture` of `pictures` is done; or
    `step` of `steps` bytes of an upscaler have arrived. A stage that generates several windows
    counts all of their steps."""

    name: ClassVar[str] = "step"
    stage: str = "render"
    """"render", "fetch", or the name of a stage: "outcrop", "outpaint", "embiggen", "upscale",
    "watermark"."""
    step: int
    """1 to steps."""
    steps: int
    """0 if unknown."""
    picture: int
    pictures: int
    preview: Preview | None = field(default=None, repr=False)
    worker: str | None = None
    """Which worker of several did it."""


@dataclass(frozen=True, kw_only=True)
class ImageDone(Event):
    """An image is finished, in memory."""

    name: ClassVar[str] = "made"
    picture: int
    pictures: int
    seconds: float
    """Including the time to load the model."""
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Provenance: "device", "precision" …, as stored in the PNG."""


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """An image and its log line are on disk."""

    name: ClassVar[str] = "saved"
    path: Path
    line: str
    """The line that generates it again."""
    sha256: str
    """Of the RGB bytes, 64 hex digits."""
    request: Request
    left: tuple[Request, ...] | None = field(default=None, repr=False, compare=False)
    """What the rest of its line makes, a request with nothing open for each picture that is not on
    disk; None where the line is to be made again as it is, as a `!fix` of several files."""
    left_before: int = field(default=0, repr=False, compare=False)
    """How many of these come before this one in the line."""


@dataclass(frozen=True, kw_only=True)
class Grid(Event):
    """The grid of a line's images is on disk."""

    name: ClassVar[str] = "grid"
    path: Path
    labelled: bool = False
    """Whether it is of --sheet, not --grid."""


@dataclass(frozen=True, kw_only=True)
class Verified(Event):
    """A logged image was rendered again and compared with its record."""

    name: ClassVar[str] = "verified"
    path: str
    line: str
    same: bool
    """Bit for bit."""
    near: bool = False
    """Not the same, but within 1 of 255 everywhere, as with another processor's rounding."""
    differences: Mapping[str, str] = field(default_factory=dict)
    """What differs from the record, e.g. {"threads": "2, was 1"}; "picture" if the pixels do."""


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """A message of one line: a size was rounded down, memory was short, a worker was replaced."""

    name: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class Rejected(Event):
    """A line that cannot be read or resolved; nothing was rendered."""

    name: ClassVar[str] = "refused"
    error: DreamError
    line: str = ""
    number: int = 0
    """Of the line in its file, from 1; 0 if typed."""

    def to_json(self) -> dict[str, Any]:
        """With the column of the error."""
        column = getattr(self.error, "column", 0)
        return super().to_json() | ({"column": column} if column else {})


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """An image that could not be rendered, upscaled or saved; the next one continues."""

    name: ClassVar[str] = "failed"
    error: DreamError
    line: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancelled(Event):
    """The rest of a line was cancelled; finished images are kept."""

    name: ClassVar[str] = "cancelled"
    finished: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Waiting(Event):
    """There is nothing to do until `is_over` returns True. Only generators that run side by side
    yield it, to whoever runs them; no front door sees it."""

    is_over: Callable[[], bool] = field(repr=False)


T = TypeVar("T")

Events = Generator[Event, None, T]
"""A generator of events, with a result at the end."""


def _plain(value: Any) -> Any:
    match value:
        case Request():
            return to_dict(value)
        case Recipe():
            return to_dict(value.to_request())
        case DreamError() | Path():
            return str(value)
        case Mapping():
            return dict(value)
        case _:
            return value
