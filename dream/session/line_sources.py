"""The lines of a log, a list of prompts, an image, or a folder of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from dream.core.errors import GalleryError
from dream.core.file_names import is_folder
from dream.gallery import LOG_NAME, read_log
from dream.gallery.folder import list_names
from dream.gallery.readers import read_foreign_text
from dream.gallery.readers.a1111 import is_parameters_line, restore_line_breaks
from dream.line import format_line, is_skipped, make_typable
from dream.options.image_output import READ_ENDINGS
from dream.session.foreign_lines import find_nearest, format_left_out
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.image_prompts import read_image_line, read_logged_line

_LONGEST_BLOCK = 1000
"""Lines of a block of AUTOMATIC1111's text at most."""

Say = Callable[[str], None]


def read_lines(path: Path, say: Say, lookup: ModelLookup = NO_LOOKUP) -> Sequence[tuple[int, str]]:
    """The lines of a file or folder, numbered from 1, without comments. An image gives its own
    line, a grid of dream the line that made all of it; blocks of AUTOMATIC1111's text become one
    line each. `say` takes notes. Raises GalleryError."""
    if is_folder(path):
        return _read_folder(path, say, lookup)
    if path.suffix.lower() in READ_ENDINGS:
        image_line = read_image_line(path, lookup)
        for note in image_line.notes:
            say(f"{path.name}: {note}")
        return [(1, image_line.line)]
    lines = join_blocks(read_log(path, say), path.name, say, lookup)
    return [(number, line) for number, line in lines if not is_skipped(line)]


def _read_folder(folder: Path, say: Say, lookup: ModelLookup) -> Sequence[tuple[int, str]]:
    """The line of each image in a folder, by name, as a log has it; grids are left out."""
    try:
        names = sorted(name for name in list_names(folder) if _may_have_record(name))
    except OSError as error:
        raise GalleryError(f"cannot read {folder}: {error.strerror}") from error
    lines, without = [], 0
    for name in names:
        try:
            lines.append(read_logged_line(folder / name, lookup))
        except GalleryError:
            without += 1
    if not lines:
        hint = f"its log is {folder / LOG_NAME}" if (folder / LOG_NAME).exists() else ""
        message = f"{folder} is a folder without images that say how they were made"
        raise GalleryError(message, hint)
    if without:
        say(f"{without} of {len(names)} images in {folder} have no record of how they were made")
    return list(enumerate(lines, 1))


def _may_have_record(name: str) -> bool:
    return name[0] != "." and name.lower().endswith(READ_ENDINGS)


def join_blocks(
    lines: Iterable[tuple[int, str]],
    name: str,
    say: Say,
    lookup: ModelLookup,
    comes_soon: Callable[[], bool] = lambda: True,
) -> Iterator[tuple[int, str]]:
    """The lines, with one line for each block of AUTOMATIC1111's text: all lines since the last
    empty one, up to `Steps: 20, Sampler: …`. Where lines arrive one by one, `comes_soon` says
    whether the next one is worth waiting for; if not, the lines so far are no block."""
    block: list[tuple[int, str]] = []
    waiting = iter(lines)
    while True:
        if block and not comes_soon():
            yield from block
            block = []
        number, line = next(waiting, (0, ""))
        if not number:
            yield from block
            return
        if is_parameters_line(line):
            text = "\n".join([*(part for _, part in block), line])
            first = block[0][0] if block else number
            block = []
            yield first, convert_pasted(text, lambda note: say(f"{name}, {note}"), lookup) or line
        elif not line.strip() or len(block) >= _LONGEST_BLOCK:
            yield from block
            block = []
            yield number, line
        else:
            block.append((number, line))


def convert_pasted(text: str, say: Say, lookup: ModelLookup = NO_LOOKUP) -> str | None:
    """The line for a text that another program made, such as AUTOMATIC1111's; None for any other
    text. Raises nothing."""
    record = read_foreign_text(text)
    if record is None:
        return None
    nearest = find_nearest(record, lookup)
    if nearest.left_out:
        say(format_left_out(record, nearest))
    return make_typable(format_line(nearest.request))


def read_pasted(text: str, say: Say, lookup: ModelLookup = NO_LOOKUP) -> str | None:
    """The same for text pasted into the edit line: only where its last line shows what it is, or
    its end where line breaks are lost."""
    text = restore_line_breaks(text)
    last = text.strip().rpartition("\n")[2]
    return convert_pasted(text, say, lookup) if is_parameters_line(last) else None
