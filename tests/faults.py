"""A fault at every point of a piece of work, one after the other, whatever the points are: each
event it yields, each call to the disk it makes, each message it sends or hears."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHANGES = ("mkdir", "open", "write", "fsync", "link", "replace", "rename", "unlink", "ftruncate")
"""Calls that change the disk: a crash elsewhere is a crash before the next of these."""
READS = ("stat", "lstat", "scandir", "listdir", "open", "readlink")
"""Calls with a path that only read it; files are opened for changes too."""


@dataclass
class Points:
    """The points that a piece of work has passed; at one of them the fault happens, once."""

    at: int
    fault: Callable[[], None]
    for_ever: bool = False
    """It happens at all further points too."""
    passed: list[str] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """Pass a point."""
        self.passed.append(name)
        if len(self.passed) == self.at or (self.for_ever and self.struck):
            self.fault()

    @property
    def struck(self) -> bool:
        """Whether the work came as far as the fault."""
        return len(self.passed) >= self.at

    def here(self) -> str:
        """Where the fault struck."""
        return f"{self.at}: {self.passed[self.at - 1]}" if self.struck else "nowhere"


def runs(upto: int = 2000) -> Iterator[int]:
    """1, 2, 3 …: the caller stops when the fault came too late."""
    yield from range(1, upto)
    raise AssertionError("the work never ends")


def watch_disk(
    patch: pytest.MonkeyPatch, points: Points, names: tuple[str, ...], *, after: bool = False
) -> None:
    """Each of these calls is a point before it is made, and with `after` behind it too."""

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **named: Any) -> Any:
            points.reach(f"before {name}")
            done = call(*args, **named)
            if after:
                points.reach(f"behind {name}")
            return done

        return instead

    for name in names:
        patch.setattr(os, name, watched(name, getattr(os, name)))
    fdopen = os.fdopen

    def opened(file: int, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        inner = fdopen(file, mode, buffering, *rest, **named)
        return inner if buffering else _RawFile(inner, points)

    patch.setattr(os, "fdopen", opened)


def watch_reads(patch: pytest.MonkeyPatch, points: Points, folder: Path) -> None:
    """Each call that reads something in this folder is a point before it is made: each name that is
    looked up, each file that is opened, and each read of it."""
    inside: set[int] = set()

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(path: Any, *args: Any, **named: Any) -> Any:
            if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(folder):
                points.reach(f"before {name} {Path(os.fsdecode(path)).name}")
                done = call(path, *args, **named)
                if isinstance(done, int):
                    inside.add(done)
                return done
            return call(path, *args, **named)

        return instead

    def read(file: int, *args: Any) -> bytes:
        if file in inside:
            points.reach("before read")
        return read_bytes(file, *args)

    for name in READS:
        patch.setattr(os, name, watched(name, getattr(os, name)))
    for place in (io, builtins):
        patch.setattr(place, "open", watched("open", open))
    read_bytes = os.read
    patch.setattr(os, "read", read)


class _RawFile:
    """A file without a buffer: each write to it is a call to the system."""

    def __init__(self, file: Any, points: Points) -> None:
        self._file, self._points = file, points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _RawFile:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def write(self, data: Any) -> Any:
        self._points.reach("before write to a raw file")
        return self._file.write(data)

    def truncate(self, *size: int) -> Any:
        self._points.reach("before truncate")
        return self._file.truncate(*size)


def watch_calls(patch: pytest.MonkeyPatch, points: Points, place: Any, name: str) -> None:
    """Each call of a method is a point, before it and behind it."""
    call = getattr(place, name)

    def instead(*args: Any, **named: Any) -> Any:
        points.reach(f"before {name}")
        done = call(*args, **named)
        points.reach(f"behind {name}")
        return done

    patch.setattr(place, name, instead)
