"""Commands about files: logs made again, pictures asked for their line."""

from __future__ import annotations

from dream.commands.base import Context, Edit, file_named
from dream.errors import GalleryError
from dream.events import Events
from dream.gallery import read_record


def replay(context: Context, argument: str) -> Events[None]:
    """!replay FILE: make every line of a log or of a list of prompts."""
    yield from context.studio.replay(file_named(context, argument, "!replay"))


def verify(context: Context, argument: str) -> Events[None]:
    """!verify LOG: render a log again and compare."""
    yield from context.studio.verify(file_named(context, argument, "!verify"))


def fetch(context: Context, argument: str) -> Events[None]:
    """!fetch FILE: the line that made a picture, into the edit line."""
    path = file_named(context, argument, "!fetch")
    record = read_record(path)
    if not record.line:
        raise GalleryError(f"{path} does not say how it was made")
    yield Edit(text=record.line)
