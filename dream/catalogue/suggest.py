"""Suggests names that are similar to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 10
"""Maximum number of names that are listed if none is similar."""


def suggest_names(name: str, known: Iterable[str]) -> str:
    """A hint with up to three similar names, else with the first known ones; empty without any."""
    names = {candidate.casefold(): candidate for candidate in known}
    similar = difflib.get_close_matches(name.casefold(), names, n=3, cutoff=0.5)
    if similar:
        return f"did you mean {' or '.join(names[match] for match in similar)}?"
    listed = sorted(names.values())[:_LISTED]
    more = " …" if len(names) > len(listed) else ""
    return f"available: {', '.join(listed)}{more}" if names else ""
