"""What happens while pictures are made. `Studio.make` yields these; every front door shows them.

In the order of one line: `Loading?  Queued  (Step* Made Saved+)*  Grid?`, with a `Note` wherever
something should be said, and `Refused`, `Failed` or `Cancelled` where it ends early.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dream.core.errors import DreamError
from dream.core.recipe import Recipe
from dream.core.request import Request, to_dict


@dataclass(frozen=True)
class Preview:
    """A rough look at a picture in the making."""

    width: int
    height: int
    rgb: bytes
    """width * height * 3 bytes, row by row from the top left."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened. `name` is its "event" in JSON."""

    name: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The event as one JSON object, keys in a stable order."""
        said = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.repr}
        return {
            "event": self.name,
            **{key: value for key, value in said.items() if value is not None},
        }


@dataclass(frozen=True, kw_only=True)
class Loading(Event):
    """A model is being loaded; pictures wait."""

    name: ClassVar[str] = "loading"
    model: str


@dataclass(frozen=True, kw_only=True)
class LineStarted(Event):
    """A line was understood and settled into `count` pictures."""

    name: ClassVar[str] = "queued"
    count: int
    line: str
    request: Request
    turn: int | None = None
    """Which line it is of the `turns` lines of a file, from 1; None where that is not known."""
    turns: int | None = None


@dataclass(frozen=True, kw_only=True)
class Planned(Event):
    """A picture that would be made (--dry_run)."""

    name: ClassVar[str] = "planned"
    line: str
    request: Request


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """One denoising step, or one tile of upscaling, of picture `picture` of `pictures` is done; or
    `step` of `steps` bytes of an upscaler have arrived. The steps of a stage that paints in several
    windows count on from one to the next."""

    name: ClassVar[str] = "step"
    stage: str = "render"
    """"render", "fetch", or the name of a stage: "outcrop", "outpaint", "embiggen", "upscale",
    "watermark"."""
    step: int
    """1 to steps."""
    steps: int
    """0 where it is not known."""
    picture: int
    pictures: int
    preview: Preview | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ImageDone(Event):
    """A picture is finished, in memory."""

    name: ClassVar[str] = "made"
    picture: int
    pictures: int
    seconds: float
    """Since it was begun, waiting for the model included."""
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Under which circumstances: "device", "precision" …, as the PNG keeps them."""


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """A picture and its log line are on disk."""

    name: ClassVar[str] = "saved"
    path: Path
    line: str
    """The line that makes it again."""
    sha256: str
    """Of the RGB bytes, 64 hex digits."""
    request: Request


@dataclass(frozen=True, kw_only=True)
class Grid(Event):
    """The sheet of a line's pictures is on disk."""

    name: ClassVar[str] = "grid"
    path: Path
    labelled: bool = False
    """It is --sheet's, not --grid's."""


@dataclass(frozen=True, kw_only=True)
class Verified(Event):
    """A logged picture was rendered again and compared with its record."""

    name: ClassVar[str] = "verified"
    path: str
    line: str
    same: bool
    """Bit for bit."""
    near: bool = False
    """Not the same, but within 1 of 255 everywhere, as another processor rounds."""
    differences: Mapping[str, str] = field(default_factory=dict)
    """What is not as recorded, e.g. {"threads": "2, was 1"}; "picture" when the pixels differ."""


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something worth one line: a size was floored, memory was short, a worker was replaced."""

    name: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class Rejected(Event):
    """A line that cannot be read or settled; nothing was rendered."""

    name: ClassVar[str] = "refused"
    error: DreamError
    line: str = ""
    number: int = 0
    """Of the line in its file, from 1; 0 when typed."""

    def to_json(self) -> dict[str, Any]:
        """With the column of the fault, for whoever wants to point at it."""
        column = getattr(self.error, "column", 0)
        return super().to_json() | ({"column": column} if column else {})


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """A picture that could not be rendered, upscaled or kept; the next one goes on."""

    name: ClassVar[str] = "failed"
    error: DreamError
    line: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancelled(Event):
    """The rest of a line was given up; what is finished is kept."""

    name: ClassVar[str] = "cancelled"
    finished: int
    count: int


T = TypeVar("T")

Events = Generator[Event, None, T]
"""Events on the way, and a result at the end."""


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
