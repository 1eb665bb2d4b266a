"""A logged line says which weights made its picture; other weights make another one."""

from __future__ import annotations

from contextlib import closing

from dream.engine.base import Engine
from dream.events import Events, Loading, Note
from dream.line import facts, read_log_line


def with_its_weights(engine: Engine, line: str, model: str) -> Events[None]:
    """Before a logged line is made again: load its model, and say so if its weights are others
    now. Nothing for other lines. Raises what loading raises."""
    logged = read_log_line(line)
    weights = facts(logged.comment).get("weights")
    if logged.path is None or not weights:
        return
    with closing(engine.load(model, weights)) as happenings:
        for happening in happenings:
            if isinstance(happening, Note | Loading):
                yield happening
