"""!find and !stats: search and count the images of a folder and its log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dream.commands.command import Context, Line, TextOutput, find_named_file
from dream.core.errors import BadLine, DreamError
from dream.core.events import Events, Note
from dream.core.file_names import is_folder
from dream.gallery import read_record
from dream.line import parse_line, split_words
from dream.options.option_type import OptionType, text
from dream.session.foreign_models import ModelLookup

if TYPE_CHECKING:
    from dream.session.index_table import IndexedImage, IndexSummary
    from dream.session.picture_index import PictureIndex

_SHOWN = 50
"""Images that are listed."""
_TIMED = 100
"""The newest images, whose time and steps are read for an average."""


def _read_date(words: Sequence[str]) -> date:
    return date.fromisoformat(words[0])


_DATE: OptionType[date] = OptionType(
    "DATE", "a date such as 2026-11-28", _read_date, lambda value: [value.isoformat()]
)
FIND_OPTIONS: dict[str, OptionType[Any]] = {
    "--model": text("NAME", "a part of a model's name"),
    "--after": _DATE,
    "--before": _DATE,
}


class _Query(NamedTuple):
    words: tuple[str, ...]
    model: str = ""
    after: float = 0
    before: float = 0


def find_images(context: Context, argument: str) -> Events[None]:
    """!find WORDS: list the images of the image folder with all these words, the newest first."""
    from dream.session.picture_index import PictureIndex  # SQLite is not imported at startup

    query = _parse_query(argument)
    folder = context.session.outdir
    with PictureIndex(folder, ModelLookup(context.session.registry)) as index:
        yield from _update(index)
        images = list(index.find(*query, limit=_SHOWN))
        more = index.count(*query) - len(images) if len(images) == _SHOWN else 0
    if not images:
        yield Note(text=f"no image in {folder.as_posix()} matches")
        return
    yield TextOutput(lines=tuple(_list_images(folder, images, more)))


def show_statistics(context: Context, argument: str) -> Events[None]:
    """!stats [FOLDER]: count the images of a folder and its log."""
    from dream.session.picture_index import PictureIndex

    folder = context.session.outdir
    if argument:
        path = find_named_file(context, argument, "!stats")
        folder = path if is_folder(path) else path.parent
    with PictureIndex(folder, ModelLookup(context.session.registry)) as index:
        yield from _update(index)
        summary, newest = index.summarize(), list(index.find((), limit=_TIMED))
    if not newest:
        yield Note(text=f"no image in {folder.as_posix()} has recorded settings")
        return
    yield TextOutput(lines=tuple(_format_statistics(folder, summary, newest)))


def _update(index: PictureIndex) -> Events[None]:
    """Bring an index up to date, with a note first if that takes long."""
    for count in index.update():
        if count:
            where = index.folder.as_posix()
            yield Note(text=f"reading {count:,} new images in {where}; later searches are faster")


def _parse_query(argument: str) -> _Query:
    """The words and options. Raises BadLine."""
    words: list[str] = []
    options: dict[str, float | str] = {}
    parts = iter([word.text for word in split_words(argument)])
    for part in parts:
        name, equals, value = part.partition("=")
        kind = FIND_OPTIONS.get(name)
        if kind is None:
            if name.startswith("--"):
                known = " ".join(FIND_OPTIONS)
                raise BadLine(f"!find has no option {name}", 0, f"the options are {known}")
            words.append(part)
            continue
        value = value if equals else next(parts, "")
        try:
            read = kind.read([value])
        except ValueError:
            raise BadLine(f"{name} takes {kind.expects}, not “{value}”") from None
        midnight = datetime.min.time()
        options[name[2:]] = (
            datetime.combine(read, midnight).timestamp() if isinstance(read, date) else str(read)
        )
    if not (words or options):
        raise BadLine("!find needs words to look for", 0, "!stats counts all images")
    return _Query(tuple(words), **options)  # type: ignore[arg-type]


def _list_images(folder: Path, images: Sequence[IndexedImage], more: int) -> Iterator[Line]:
    for image in images:
        deleted = "" if image.time else " (deleted)"
        tool = f" (by {image.tool})" if image.tool else ""
        yield (f"{(folder / image.name).as_posix()}{deleted}{tool}", image.line)
    if more:
        rest = "1 more image" if more == 1 else f"{more:,} more images"
        yield f"… and {rest}; add words, --model or --after to narrow it down"


def _format_statistics(
    folder: Path, summary: IndexSummary, newest: Sequence[IndexedImage]
) -> Iterator[Line]:
    """Counts by model and program, first and last day, and seconds an image."""
    yield folder.as_posix()
    gone = f", {summary.deleted:,} of them deleted" if summary.deleted else ""
    yield ("  images", f"{summary.images:,}{gone}")
    if summary.last:
        yield ("  first", _day(summary.first))
        yield ("  last", _day(summary.last))
    for tool, count in summary.tools[:10]:
        yield (f"  by {tool}", f"{count:,}")
    yield ""
    yield "models:"
    seconds = _average_seconds(folder, [image for image in newest if image.time])
    for model, count in summary.models[:30]:
        each = f", {seconds[model]:.1f} s per image" if model in seconds else ""
        yield (f"  {model or 'not recorded'}", f"{count:,}{each}")
    steps = [n for image in newest if (n := _steps(image.line))]
    if steps:
        yield ""
        yield ("steps", f"{sum(steps) / len(steps):.0f} on average")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _average_seconds(folder: Path, images: Sequence[IndexedImage]) -> dict[str, float]:
    """Seconds an image by model, of the images that record it."""
    seconds_by_model: dict[str, list[float]] = {}
    for image in images:
        with suppress(DreamError):
            if seconds := read_record(folder / image.name).seconds:
                seconds_by_model.setdefault(image.model, []).append(seconds)
    return {model: sum(values) / len(values) for model, values in seconds_by_model.items()}


def _steps(line: str) -> int | None:
    with suppress(DreamError):
        return parse_line(line).steps
    return None
