"""A logged line says which weights made its picture, and which files it began from; others make
another one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dream.engine.base import Engine
from dream.events import Events, Loading, Note
from dream.inputs import fingerprint
from dream.line import facts, read_log_line
from dream.recipe import Recipe
from dream.request import INPUTS


def as_logged(engine: Engine, line: str, recipe: Recipe) -> Events[None]:
    """Before a logged line is made again: load its model, and say so if its weights, or a file
    that it begins from, are others now. Nothing for other lines. Raises what loading raises, and
    InputError for a file that is gone."""
    yield from with_its_files(line, recipe)
    logged = read_log_line(line)
    weights = facts(logged.comment).get("weights")
    if logged.path is None or not weights:
        return
    with closing(engine.load(recipe.model, weights)) as happenings:
        for happening in happenings:
            if isinstance(happening, Note | Loading):
                yield happening


def with_its_files(line: str, recipe: Recipe) -> Events[None]:
    """Say which files that a logged line begins from have changed since. Raises InputError."""
    logged = read_log_line(line)
    recorded = facts(logged.comment)
    for name in INPUTS:
        path, was = getattr(recipe, name), recorded.get(name)
        if logged.path is None or path is None or was is None:
            continue
        if not (now := fingerprint(Path(path))).startswith(was):
            is_now = f"its sha256 is {now[: len(was)]}, not {was}"
            yield Note(text=f"{path} has changed since: {is_now}; the picture will be another")
