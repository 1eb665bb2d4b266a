"""Commands that replay and verify logs, process images, and read the lines of images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO

from dream.commands.command import Context, InsertText, find_named_file
from dream.core.errors import BadLine, GalleryError
from dream.core.events import Events, Note
from dream.core.file_names import parse_path, path_exists_at
from dream.line import split_words
from dream.session.foreign_models import ModelLookup
from dream.session.image_prompts import read_image_line, read_logged_line

_PATTERN = re.compile(r"[*?[]")


def replay_file(context: Context, argument: str) -> Events[None]:
    """!replay FILE: run every line of a log or of a list of prompts."""
    yield from context.session.replay(find_named_file(context, argument, "!replay"))


def fix_image(context: Context, argument: str) -> Events[None]:
    """!fix FILE SWITCHES: process an image, or the images of a folder. The session parses the
    line."""
    yield from context.session.make(f"!fix {argument}")


def verify_log_file(context: Context, argument: str) -> Events[None]:
    """!verify LOG: render a log again and compare."""
    yield from context.session.verify(find_named_file(context, argument, "!verify"))


def fetch_lines(context: Context, argument: str) -> Events[None]:
    """!fetch FILE: insert the line that made an image into the edit line. !fetch PATTERN OUT: write
    the lines of many images to a file for !replay."""
    path = find_named_file(context, argument, "!fetch")
    words = [word.text for word in split_words(argument)]
    if _PATTERN.search(words[0]) and not path_exists_at(path):
        if len(words) != 2:
            raise BadLine("!fetch needs one pattern and an output file: !fetch *.png lines.txt")
        paths, output = _find_matches(context, words[0]), parse_path(words[1])
        if context.session.dry_run:
            images = "1 image" if len(paths) == 1 else f"{len(paths)} images"
            yield Note(text=f"--dry_run: the lines of {images} are not written to {output}")
            return
        yield from _write_lines(paths, output, ModelLookup(context.session.registry))
        return
    line, notes = read_image_line(path, ModelLookup(context.session.registry))
    yield from (Note(text=note) for note in notes)
    yield InsertText(text=line)


def _find_matches(context: Context, pattern: str) -> list[Path]:
    """The files that match a pattern, by name: here, or else in the image folder."""
    relative = parse_path(pattern)
    for path in (relative, context.session.outdir / relative):
        root = Path(path.anchor)
        if matches := sorted(root.glob(str(path.relative_to(root)))):
            return matches
    raise GalleryError(f"no file matches {pattern}")


def _write_lines(paths: list[Path], output: Path, lookup: ModelLookup) -> Events[None]:
    """Write the log line of each image that records one."""
    without_line = 0
    try:
        with _create_file(output) as out:
            for path in paths:
                try:
                    print(read_logged_line(path, lookup), file=out)
                except GalleryError:
                    without_line += 1
    except OSError as error:
        raise GalleryError(f"cannot write {output}: {error.strerror}") from error
    count = len(paths) - without_line
    lines = "1 line" if count == 1 else f"{count} lines"
    images = "1 image has" if without_line == 1 else f"{without_line} images have"
    others = f"; {images} no record of how they were made" if without_line else ""
    yield Note(text=f"wrote {lines} to {Path(out.name).as_posix()}{others}")


def _create_file(output: Path) -> IO[str]:
    """Create a file of that name, or the first free one of name.01, name.02 … Raises OSError."""
    for path in _list_names(output):
        try:
            return path.open("x", encoding="utf-8", newline="\n")
        except FileExistsError:
            continue
    raise AssertionError("there is always another number")


def _list_names(output: Path) -> Iterator[Path]:
    yield output
    for number in count(1):
        yield output.with_name(f"{output.stem}.{number:02}{output.suffix}")
