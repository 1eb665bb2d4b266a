"""Many lines, one after the other; and what makes a line worth making."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dream.errors import BadLine
from dream.events import Events
from dream.line import is_skipped, read_log_line
from dream.line.words import split
from dream.request import Request
from dream.studio.told import reported

if TYPE_CHECKING:
    from dream.studio.studio import Studio


def make_all(studio: Studio, lines: Iterable[tuple[int, str]], *, dry_run: bool) -> Events[None]:
    """See `Studio.make_all`. A line that raises what nobody foresaw does not end the others."""
    turns = len(lines) if isinstance(lines, Sequence) else None
    for turn, (number, line) in enumerate(lines, 1):
        if is_skipped(line):
            continue
        if dry_run:
            yield from reported(studio.plan(line, number), line, None)
            continue
        made = studio.make(line, number, turns and turn, turns)
        if (yield from reported(made, line, otherwise=False)):
            return


def with_words(line: str, request: Request) -> Request:
    """The request, unless its line says no words at all and begins from no picture that may lend
    some: most likely they were forgotten. Raises BadLine."""
    if not (request.prompt or request.init_img or request.fix or is_skipped(line)):
        parts = split(line, read_log_line(line).start)
        if parts.switches and parts.prompt is None:
            hint = '"" before the switches paints without words; !set steps 30 is for all lines'
            raise BadLine("the line has switches, but no words to paint", 1, hint)
    return request
