"""!control: write the map that a control model sees of an image, without generating anything."""

from __future__ import annotations

from contextlib import closing

from dream.commands.command import Context, ShowImage, find_named_file
from dream.commands.new_files import create_files_beside
from dream.core.errors import BadLine, GalleryError
from dream.core.events import Events, Note, Step
from dream.core.file_names import path_exists_at
from dream.engine.interface import Progress
from dream.line.words import quote_separate_value
from dream.options.control import CONTROL_KINDS, UNSUPPORTED_KINDS, ControlKind

_USAGE = f"usage: !control KIND FILE, with a kind of {' '.join(CONTROL_KINDS)}"


def write_control_map(context: Context, argument: str) -> Events[None]:
    """!control KIND FILE: write the map of an image, beside it. `--control KIND=MAP` with
    `--control_raw` uses it, also after it was edited."""
    word, _, name = argument.strip().partition(" ")
    kind = _find_kind(word)
    if not name.strip():
        raise BadLine(_USAGE)
    image = find_named_file(context, name, "!control")
    if not path_exists_at(image):
        raise GalleryError(f"there is no {image}")
    (target,) = create_files_beside(image, kind.name)
    done = False
    engine = context.session.engine
    try:
        with closing(engine.make_control_map(kind.name, image, target)) as events:
            for event in events:
                match event:
                    case Progress(stage, step, steps):
                        yield Step(stage=stage, step=step, steps=steps, picture=1, pictures=1)
                    case _:
                        yield event
        done = True
    finally:
        if not done:
            target.unlink(missing_ok=True)
    switch = f"--control {quote_separate_value(f'{kind.name}={target.as_posix()}')}"
    yield Note(text=f"wrote {target.as_posix()}; use it with {switch} --control_raw")
    yield ShowImage(path=target)


def _find_kind(word: str) -> ControlKind:
    """Raises BadLine."""
    name = word.lower()
    if (alternative := UNSUPPORTED_KINDS.get(name)) is not None:
        raise BadLine(f"maps of kind {name} are not supported", 0, alternative)
    for kind in CONTROL_KINDS.values():
        if name == kind.name or name in kind.aliases:
            return kind
    raise BadLine(_USAGE)
