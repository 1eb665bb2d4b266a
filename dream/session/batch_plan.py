"""The plan of a batch: which images it makes, written before the first of them is rendered.

A plan is a file of JSON lines in `.dream_batch`, next to the log: the batch, then each of its
lines with the images that it makes, as log lines. What is done is not in the plan but in the log:
an image is done if its line is there, below what was there when the batch began.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.core.errors import DreamError, GalleryError, InputError
from dream.core.events import Events, Rejected
from dream.core.own_files import read_own, refuse_link, replace_own
from dream.core.request import Request, to_dict
from dream.core.request_json import parse_request
from dream.gallery import LOG_NAME, raise_gallery_errors
from dream.line import format_line, is_skipped
from dream.queue.locked import hold
from dream.session.output import folder_of
from dream.session.resolve_entered import needs_earlier_images, resolve_entered

if TYPE_CHECKING:
    from dream.session.session import Session

PLANS_FOLDER = ".dream_batch"
_ENDING = ".jsonl"
_VERSION = 1
_MAX_DRAW = 2**63
_NAME = re.compile(r"[\w.-]{1,80}")


@dataclass(frozen=True)
class PlannedLine:
    """A line of a batch."""

    number: int
    """In its file, from 1."""
    line: str
    images: tuple[str, ...] = ()
    """The line of each of its images, with nothing open. None where they depend on earlier images:
    such a line is resolved when its turn comes."""
    draws: int = 0
    """What the numbers are drawn from that such a line leaves open, always the same ones."""


@dataclass(frozen=True)
class BatchPlan:
    """All of a batch that can be read, resolved."""

    source: str
    """The name of its file."""
    base: Mapping[str, Any]
    """The defaults of its lines: a Request in JSON."""
    logs: Mapping[str, int]
    """The bytes that each folder's log had when the batch began."""
    lines: tuple[PlannedLine, ...]
    begun: float = field(default_factory=time.time)
    """Seconds since 1970."""

    def write(self, path: Path) -> None:
        """Write it durably, and as a whole. Raises GalleryError."""
        head = asdict(self) | {"dream_batch": _VERSION, "lines": len(self.lines)}
        rows = [head, *(asdict(line) for line in self.lines)]
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        with raise_gallery_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_link(path.parent)
            replace_own(path, text.encode(errors="surrogateescape"))
            _sync(path)
            _sync(path.parent)

    @classmethod
    def read(cls, path: Path) -> BatchPlan:
        """Read a plan. Raises GalleryError."""
        with raise_gallery_errors(path.parent):
            rows = read_own(path).decode(errors="surrogateescape").splitlines()
        try:
            head, *lines = map(json.loads, rows)
            if head["dream_batch"] != _VERSION or head["lines"] != len(lines):
                raise ValueError
            return cls(
                str(head["source"]),
                dict(head["base"]),
                {str(folder): int(size) for folder, size in head["logs"].items()},
                tuple(map(_read_line, lines)),
                float(head["begun"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GalleryError(f"{path} is not a plan of a batch", "remove it") from error

    def get_base(self, outdir: str | None) -> Request:
        """The defaults of its lines, which are saved in this folder."""
        return replace(parse_request(self.base), outdir=outdir)


def _read_line(row: Mapping[str, Any]) -> PlannedLine:
    images = tuple(map(str, row["images"]))
    return PlannedLine(int(row["number"]), str(row["line"]), images, int(row["draws"]))


def make_plan(session: Session, lines: Iterable[tuple[int, str]], source: str) -> Events[BatchPlan]:
    """Resolve each line that depends on no other; those that cannot be made are rejected."""
    planned: list[PlannedLine] = []
    folders = {session.outdir}
    rng = random.SystemRandom()
    for number, line in lines:
        if is_skipped(line):
            continue
        draws = rng.randrange(_MAX_DRAW)
        try:
            images, folder = _resolve(session, line, draws)
        except DreamError as error:
            yield Rejected(error=error, line=line, number=number)
            continue
        folders.add(folder)
        planned.append(PlannedLine(number, line, images, draws))
    logs = {str(folder): _measure(folder / LOG_NAME) for folder in folders}
    return BatchPlan(source, to_dict(session.base), logs, tuple(planned))


def _resolve(session: Session, line: str, draws: int) -> tuple[tuple[str, ...], Path]:
    """The lines of a line's images, and the folder that they are saved in. Raises DreamError."""
    session.rng = random.Random(draws)
    try:
        if needs_earlier_images(session, line):
            return (), session.outdir
        sweep, recipes, _ = resolve_entered(session, line)
    except InputError:
        return (), session.outdir  # an earlier line may make the file
    folder = folder_of(sweep.first, session.outdir, recipes[0].prompt)
    return tuple(format_line(recipe.to_request()) for recipe in recipes), folder


def _measure(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


# ── the folder of plans ────────────────────────────────────────────────────────────────────────


def choose_path(outdir: Path, source: str) -> Path:
    """A new plan's file, named after the batch's."""
    stem = re.sub(r"[^\w-]+", "-", Path(source).stem).strip("-")[:40] or "batch"
    when = time.strftime("%Y%m%d-%H%M%S")
    return outdir / PLANS_FOLDER / f"{stem}-{when}-{os.getpid()}{_ENDING}"


def list_plans(outdir: Path) -> list[Path]:
    """The plans of batches that are not complete, the oldest first."""
    folder = outdir / PLANS_FOLDER
    if folder.is_symlink():
        return []
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.suffix == _ENDING)
    return []


def find_plan(outdir: Path, name: str) -> Path:
    """The plan of that name. Raises GalleryError."""
    path = outdir / PLANS_FOLDER / f"{name.removesuffix(_ENDING)}{_ENDING}"
    if not _NAME.fullmatch(path.name) or path not in list_plans(outdir):
        raise GalleryError(f"there is no plan {name} in {outdir}", "dream --resume lists them")
    return path


def describe_plan(path: Path) -> tuple[str, str]:
    """The name of a plan, and what it is."""
    try:
        plan = BatchPlan.read(path)
    except GalleryError as error:
        return path.stem, str(error)
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(plan.begun))
    return path.stem, f"{count_images(plan.lines)} images of {plan.source}, begun {begun}"


@contextmanager
def hold_plan(path: Path) -> Iterator[None]:
    """In the block, no other dream runs this batch. Raises GalleryError."""
    with raise_gallery_errors(path.parent):
        held = hold(path, create=False)
    if held is None:
        raise GalleryError(f"another dream is making the batch {path.stem}")
    with held:
        yield


def remove_plan(path: Path) -> None:
    """Its batch is complete."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _sync(path: Path) -> None:
    with suppress(OSError):  # some systems cannot sync a folder
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def count_images(lines: Sequence[PlannedLine]) -> int:
    """How many images are planned; one for each line that is not resolved yet."""
    return sum(len(line.images) or 1 for line in lines)
