"""Resolves an entered line: its requests, its recipes, and notes for the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dream.catalogue.adapter_registry import AdapterRegistry
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, Request
from dream.line import Sweep, parse_sweep
from dream.line.log_lines import split_path_prefix
from dream.session.many_lines import group_of
from dream.session.name_checks import check_recipes
from dream.session.resolve import resolve_sweep
from dream.session.templates import combine_words
from dream.session.unused_settings import list_unused_settings

if TYPE_CHECKING:
    from dream.session.session import Session

Resolved = tuple[Sweep, Sequence[Recipe], tuple[str, ...]]

_EARLIER_IMAGE = re.compile(r"(?:^|[=:,])-[1-9][0-9]*(?:$|[:,])")
"""In the value of a switch: alone, or as one of its parts."""
_TEXTS = ("prompt", "negative", "template")


def resolve_entered(
    session: Session, entered: str | Request, planned: Sequence[str] = ()
) -> Resolved:
    """The requests and the recipes of a line, which are those of its `planned` images if there are
    any. Raises DreamError."""
    line = entered if isinstance(entered, str) else ""
    values = session.get_values
    typed = session.parse_sweep(entered) if isinstance(entered, str) else Sweep(entered)
    sweep = combine_words(typed, values)
    if planned:
        return sweep, [_resolve_planned(session, image) for image in planned], sweep.notes
    find = session.make_finder(line, sweep.first)
    adapters = AdapterRegistry.of(session.registry)
    seeds, draw = session.seeds, session.draw
    resolved = resolve_sweep(sweep, session.find_model, seeds, draw, find, adapters, values)
    check_recipes(session.registry, resolved.recipes)
    logged = split_path_prefix(line)[0]  # a log has every value, used or not
    unused = () if logged else list_unused_settings(sweep.first, session.base)
    return sweep, resolved.recipes, (*sweep.notes, *resolved.notes, *unused)


def _resolve_planned(session: Session, image: str) -> Recipe:
    """The recipe of an image's line. Read as a line of a log, it leaves nothing open."""
    request = session.parse_line(f"planned.png: {image} # sha256:0")
    return session.resolve(request).recipes[0]


def needs_earlier_images(session: Session, line: str) -> bool:
    """Whether a line means images that were made before it: `-S -1`, `-I -1`, `!fix -1`; or several
    files, which earlier lines may add to. Raises BadLine."""
    first = parse_sweep(line).first
    if (first.seed or 0) < 0:
        return True
    words = (
        word
        for name, flag in FLAGS.items()
        if isinstance(value := getattr(first, name), str | tuple) and name not in _TEXTS
        for word in flag.kind.write(value)
    )
    return any(map(_EARLIER_IMAGE.search, words)) or group_of(session, line) is not None
