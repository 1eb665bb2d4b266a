"""How much of the host's memory is free. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def measure_free_host_memory() -> int:
    """Free bytes, within the limit of this process's control group. Mapped files count as free."""
    return min([psutil.virtual_memory().available, *left_by_cgroup()])


def left_by_cgroup(root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Bytes left under the limit of a container (control groups, version 2); nothing where there is
    none. Cached files count as used there, but are dropped when memory is needed."""
    with suppress(OSError, ValueError, KeyError):
        limit = int((root / "memory.max").read_text())  # or "max"
        used = int((root / "memory.current").read_text())
        stat = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        yield max(0, limit - used + int(stat["inactive_file"]))
