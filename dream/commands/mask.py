"""!mask: what a mask from words would be, before anything is painted inside it."""

from __future__ import annotations

from contextlib import closing, suppress
from itertools import count
from pathlib import Path

from dream.commands.command import Context, ShowImage, find_named_file
from dream.core.errors import BadLine, GalleryError
from dream.core.events import Events, Note, Step
from dream.core.file_names import path_exists_at
from dream.core.request import Request
from dream.engine.interface import Progress
from dream.line import parse_line
from dream.options.text_mask import TextMask

_USAGE = "!mask takes FILE -tm WORDS [THRESHOLD]"


def write_mask(context: Context, argument: str) -> Events[None]:
    """!mask FILE -tm WORDS [THRESHOLD]: where in a picture is what the words name? As a mask for
    -M, and as grey that says how sure that is, in two files beside the picture."""
    name, asked = _asked(argument)
    picture = find_named_file(context, name, "!mask")
    if not path_exists_at(picture):
        raise GalleryError(f"there is no {picture}")
    found, sure = _claimed(picture)
    done = False
    try:
        with closing(context.studio.engine.find_mask(picture, asked, found, sure)) as happenings:
            for happening in happenings:
                match happening:
                    case Progress(stage, step, steps):
                        yield Step(stage=stage, step=step, steps=steps, picture=1, pictures=1)
                    case _:
                        yield happening
        done = True
    finally:
        if not done:
            for path in (found, sure):
                path.unlink(missing_ok=True)
    yield Note(text=f"{found.as_posix()} is a mask for -M; how sure that is: {sure.as_posix()}")
    yield ShowImage(path=sure)


def _asked(argument: str) -> tuple[str, TextMask]:
    """The file's name and what is sought. Raises BadLine."""
    request = parse_line(argument)
    if request.text_mask is None or not request.prompt:
        raise BadLine(_USAGE)
    if request != Request(prompt=request.prompt, text_mask=request.text_mask):
        raise BadLine(f"{_USAGE}, and nothing else")
    return request.prompt, request.text_mask


def _claimed(picture: Path) -> tuple[Path, Path]:
    """Two names beside the picture that nobody has, now taken. Raises GalleryError."""
    for number in count(1):
        again = f".{number:02}" if number > 1 else ""
        names = [f"{picture.stem}.{what}{again}.png" for what in ("mask", "heat")]
        found, sure = (picture.with_name(name) for name in names)
        try:
            found.open("xb").close()
        except FileExistsError:
            continue
        except OSError as error:
            raise GalleryError(f"cannot write {found}: {error.strerror}") from error
        with suppress(FileExistsError):
            sure.open("xb").close()
            return found, sure
        found.unlink()
    raise AssertionError("numbers never end")
