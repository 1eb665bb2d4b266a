"""Commands about files: logs made again, pictures asked for their line."""

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
from dream.session.image_prompts import read_line_from, read_logged_line

_PATTERN = re.compile(r"[*?[]")


def replay_file(context: Context, argument: str) -> Events[None]:
    """!replay FILE: make every line of a log or of a list of prompts."""
    yield from context.studio.replay(find_named_file(context, argument, "!replay"))


def fix_image(context: Context, argument: str) -> Events[None]:
    """!fix FILE SWITCHES: a picture, or those of a folder, taken further. Lines are the studio's
    own to read."""
    yield from context.studio.make(f"!fix {argument}")


def verify_log_file(context: Context, argument: str) -> Events[None]:
    """!verify LOG: render a log again and compare."""
    yield from context.studio.verify(find_named_file(context, argument, "!verify"))


def fetch_lines(context: Context, argument: str) -> Events[None]:
    """!fetch FILE: the line that made a picture, into the edit line. !fetch PATTERN OUT: the lines
    of many, into a file for !replay."""
    path = find_named_file(context, argument, "!fetch")
    said = [word.text for word in split_words(argument)]
    if _PATTERN.search(said[0]) and not path_exists_at(path):
        if len(said) != 2:
            raise BadLine("!fetch takes one pattern and a file to write: !fetch *.png lines.txt")
        pictures, wanted = _matching(context, said[0]), parse_path(said[1])
        if context.studio.dry_run:
            many = "1 picture" if len(pictures) == 1 else f"{len(pictures)} pictures"
            yield Note(text=f"the lines of {many} are not written to {wanted}: --dry_run")
            return
        yield from _fetch_all(pictures, wanted)
        return
    yield InsertText(text=read_line_from(path))


def _matching(context: Context, pattern: str) -> list[Path]:
    """The files that a pattern means, by name: here, or else among the pictures."""
    wanted = parse_path(pattern)
    for path in (wanted, context.studio.outdir / wanted):
        root = Path(path.anchor)
        if found := sorted(root.glob(str(path.relative_to(root)))):
            return found
    raise GalleryError(f"nothing is called {pattern}")


def _fetch_all(pictures: list[Path], wanted: Path) -> Events[None]:
    """Write a line for each picture that knows its own, as its log had it."""
    silent = 0
    try:
        with _new_file(wanted) as out:
            for picture in pictures:
                try:
                    print(read_logged_line(picture), file=out)
                except GalleryError:
                    silent += 1
    except OSError as error:
        raise GalleryError(f"cannot write {wanted}: {error.strerror}") from error
    told = len(pictures) - silent
    lines = "1 line is" if told == 1 else f"{told} lines are"
    others = f"; of {silent} it is not known how they were made" if silent else ""
    yield Note(text=f"{lines} in {Path(out.name).as_posix()}{others}")


def _new_file(wanted: Path) -> IO[str]:
    """A file of that name, or the first free one of name.01, name.02 … Raises OSError."""
    for path in _names(wanted):
        try:
            return path.open("x", encoding="utf-8", newline="\n")
        except FileExistsError:
            continue
    raise AssertionError("there is always another number")


def _names(wanted: Path) -> Iterator[Path]:
    yield wanted
    for number in count(1):
        yield wanted.with_name(f"{wanted.stem}.{number:02}{wanted.suffix}")
