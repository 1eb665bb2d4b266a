"""Which process wrote what in the folder of converted networks, and whether it has ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_STARTED_WITHIN = 2.0
"""Seconds by which the start of one process may be measured differently by another."""


def describe_writer() -> dict[str, Any]:
    """This process and its parent, for the next one that finds what they left."""
    import psutil

    about: dict[str, Any] = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    with suppress(psutil.Error):
        parent = psutil.Process(os.getppid())
        about |= {"parent": parent.pid, "parent_started": parent.create_time()}
    return about


def has_ended(about: Mapping[str, Any]) -> bool:
    """Whether the process that `describe_writer` described has ended."""
    pid = about.get("pid")
    return not isinstance(pid, int) or not _is_running(pid, about.get("started"))


def has_crashed(about: Mapping[str, Any]) -> bool:
    """Whether it has ended, but not its parent, as when the prompt is closed while its worker
    works."""
    parent = about.get("parent")
    has_parent = not isinstance(parent, int) or _is_running(parent, about.get("parent_started"))
    return has_ended(about) and has_parent


def _is_running(pid: int, started: object) -> bool:
    """Whether a process has not ended. `started`: its seconds since the epoch, if they are known:
    another process may have its number by now."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        apart = process.create_time() - started if isinstance(started, float) else 0.0
        return abs(apart) <= _STARTED_WITHIN
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # another user's
        return True
