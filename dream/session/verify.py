"""Renders every line of a log again and compares the result with the record."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Literal, NamedTuple

from dream.core.errors import DreamError
from dream.core.events import Cancelled, Events, Note, Rejected, Verified
from dream.core.picture import Picture
from dream.core.stages import get_stages
from dream.gallery import read_log, read_record
from dream.inputs import open_picture
from dream.line import is_skipped, parse_facts, parse_log_line
from dream.options.image_output import READ_ENDINGS
from dream.session.engine_events import report_crashes
from dream.session.foreign_models import ModelLookup
from dream.session.image_prompts import read_logged_line
from dream.session.logged_files import made_in
from dream.session.replay_checks import check_adapters, check_input_files

if TYPE_CHECKING:
    from PIL.Image import Image

    from dream.session.session import Session

_SOMETIMES = ("ema", "memory", "vae")
"""Provenance values that are recorded only if they differ from the usual."""

_SHOWN = 16  # hex digits of the SHA-256 in a log line


def verify_log(session: Session, log: Path) -> Events[None]:
    """One Verified for each line of a log, or for the line of an image; and a Note with the counts.
    Raises GalleryError."""
    verdicts: Counter[_Verdict] = Counter()
    try:
        notes: list[str] = []
        lines: Iterable[tuple[int, str]]
        if log.suffix.lower() in READ_ENDINGS:
            lines = [(1, read_logged_line(log, ModelLookup(session.registry)))]
        else:
            lines = read_log(log, notes.append)
        yield from (Note(text=text) for text in notes)
        for number, line in lines:
            if is_skipped(line):
                continue
            counted = report_crashes(
                _verify_line(session, line, number, log.parent), line, "failed"
            )
            verdicts[(yield from counted)] += 1
    except KeyboardInterrupt:
        done = verdicts.total() - verdicts["unknown"]
        yield Cancelled(finished=done, count=done + 1)
    near = f", {verdicts['near']} near (within 1 of 255)" if verdicts["near"] else ""
    failed = f", {verdicts['failed']} failed" if verdicts["failed"] else ""
    counts = f"{verdicts['same']} same{near}, {verdicts['differs']} different{failed}"
    yield Note(text=f"{counts}, in {log.as_posix()}")


_Verdict = Literal["same", "near", "differs", "failed", "unknown"]
""""near" can be the rounding of another processor. "unknown" is a line without a record to compare
with."""

_NEAR = 1
"""Maximum difference of a near image, of 255, in any channel of any pixel."""


def _verify_line(session: Session, line: str, number: int, folder: Path) -> Events[_Verdict]:
    logged = parse_log_line(line)
    recorded = _recorded(logged.path, parse_facts(logged.comment))
    if "sha256" not in recorded:
        yield Note(text=f"line {number}: no record to compare with")
        return "unknown"
    try:
        request = session.parse_line(line)
        recipe = session.resolve(request, line).recipes[0]
        yield from check_input_files(line, recipe)
        yield from check_adapters(session.registry, line, recipe)
        picture = yield from session.render(recipe)
        for stage in get_stages(recipe):
            picture = yield from session.finish(picture, stage)
    except DreamError as error:
        yield Rejected(error=error, line=line, number=number)
        return "failed"
    same = picture.sha256.startswith(recorded["sha256"][:_SHOWN])
    apart = None if same else _apart(picture, _original(session, logged.path, recorded, folder))
    near = apart is not None and apart.most <= _NEAR
    how = f"differs by {apart}" if apart else "is not the recorded one"
    differs = {} if same else {"picture": how} | _changed(recorded, picture)
    yield Verified(
        path=logged.path or "", line=logged.line, same=same, near=near, differences=differs
    )
    return "same" if same else "near" if near else "differs"


class PixelDifference(NamedTuple):
    """How much two images of the same size differ."""

    most: int
    """Of 255, in any channel of any pixel."""
    share: float
    """Share of the pixels that differ, above 0, up to 1."""

    def __str__(self) -> str:
        percent = f"{float(f'{100 * self.share:.2g}'):.10f}".rstrip("0").rstrip(".")
        return f"at most {self.most} of 255 in {percent} % of pixels"


def _original(
    session: Session, path: str | None, recorded: Mapping[str, str], folder: Path
) -> Image | None:
    """The logged image, if its file exists and has the recorded pixels."""
    if path is None:
        return None
    try:
        names = (Path(path).name, PureWindowsPath(path).name)  # Windows logs backslashes
        places = [session.find_picture(path), *(folder / name for name in names)]
    except DreamError:
        return None
    if root := made_in(folder, path):
        places[:0] = [root / path, root / path.replace("\\", "/")]
    wanted = recorded["sha256"][:_SHOWN]
    for place in dict.fromkeys(places):
        with suppress(DreamError):
            image = open_picture(place).image
            if hashlib.sha256(image.tobytes()).hexdigest().startswith(wanted):
                return image
    return None


def _apart(picture: Picture, original: Image | None) -> PixelDifference | None:
    if original is None or original.size != picture.image.size:
        return None
    from PIL import ImageChops

    red, green, blue = ImageChops.difference(picture.image, original).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    counted = most.histogram()
    width, height = original.size
    farthest = max(value for value, count in enumerate(counted) if count)
    return PixelDifference(farthest, 1 - counted[0] / (width * height))


def _recorded(path: str | None, comment: Mapping[str, str]) -> dict[str, str]:
    """The record of the logged image: from its PNG if that exists and is the one in the line,
    otherwise from the line's comment."""
    if path is None:
        return dict(comment)
    try:
        record = read_record(Path(path))
    except DreamError:
        return dict(comment)
    if not record.sha256.startswith(comment.get("sha256", "")):
        return dict(comment)
    return {**record.facts, **({"sha256": record.sha256} if record.sha256 else {})}


def _changed(recorded: Mapping[str, str], picture: Picture) -> dict[str, str]:
    """The recorded provenance values that differ now, by name."""
    facts = dict(picture.facts)
    if "processor" in recorded:  # the complete record of a PNG, not the few values of a log line
        usual = dict.fromkeys(_SOMETIMES, "as usual")
        facts, recorded = usual | facts, usual | dict(recorded)
    return {
        name: f"{now}, was {was}"
        for name, now in facts.items()
        if (was := recorded.get(name)) is not None and not now.startswith(was)
    }
