"""!mask: write the mask that -tm finds in an image, without generating anything."""

from __future__ import annotations

from contextlib import closing

from dream.commands.command import Context, ShowImage, find_named_file
from dream.commands.new_files import create_files_beside
from dream.core.errors import BadLine, GalleryError
from dream.core.events import Events, Note, Step
from dream.core.file_names import path_exists_at
from dream.core.request import Request
from dream.engine.interface import Progress
from dream.line import parse_line
from dream.options.text_mask import TextMask

_USAGE = "usage: !mask FILE -tm WORDS [THRESHOLD]"


def write_mask(context: Context, argument: str) -> Events[None]:
    """!mask FILE -tm WORDS [THRESHOLD]: find what the words describe in an image. Writes a mask for
    -M and a gray confidence map, two files beside the image."""
    name, text_mask = _parse_arguments(argument)
    image = find_named_file(context, name, "!mask")
    if not path_exists_at(image):
        raise GalleryError(f"there is no {image}")
    mask, heat_map = create_files_beside(image, "mask", "heat")
    done = False
    try:
        with closing(context.session.engine.find_mask(image, text_mask, mask, heat_map)) as events:
            for event in events:
                match event:
                    case Progress(stage, step, steps):
                        yield Step(stage=stage, step=step, steps=steps, picture=1, pictures=1)
                    case _:
                        yield event
        done = True
    finally:
        if not done:
            for path in (mask, heat_map):
                path.unlink(missing_ok=True)
    yield Note(
        text=f"wrote {mask.as_posix()}, a mask for -M; confidence map: {heat_map.as_posix()}"
    )
    yield ShowImage(path=heat_map)


def _parse_arguments(argument: str) -> tuple[str, TextMask]:
    """Return the name of the file and the text mask. Raises BadLine."""
    request = parse_line(argument)
    if request.text_mask is None or not request.prompt:
        raise BadLine(_USAGE)
    if request != Request(prompt=request.prompt, text_mask=request.text_mask):
        raise BadLine(f"{_USAGE}; other switches are not supported")
    return request.prompt, request.text_mask
