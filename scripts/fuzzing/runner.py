"""One reader, many made-up cases: which of them it does not refuse as it promises, or takes too
long for, or too much memory."""

from __future__ import annotations

import contextlib
import io
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dream.core.errors import DreamError

SECONDS = 0.5
"""Of work on one case, at most."""
MEMORY = 128 << 20
"""Bytes that one case may take, at most."""
_PATIENCE = 10.0
"""Seconds of work after which a case is broken off."""
_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Reader:
    """A row of the table."""

    name: str
    make: Callable[[Random], bytes]
    """A case, the same for the same random numbers."""
    read: Callable[[bytes, Path], object]
    """Gives the case to the reader, through a file in the folder if it wants one. Raises
    DreamError, or whatever else the reader promises."""
    refusals: tuple[type[Exception], ...] = (DreamError,)
    """What it promises to raise."""
    memory: int = MEMORY
    """Bytes that one case may take, at most."""


@dataclass(frozen=True)
class Finding:
    """A case that broke a promise."""

    reader: str
    case: str
    """What `case_of` makes it again from."""
    size: int
    """Bytes."""
    what: str


def case_of(reader: Reader, seed: int, number: int) -> bytes:
    """The bytes of a case."""
    return reader.make(Random(f"{seed}/{reader.name}/{number}"))


def run(reader: Reader, folder: Path, *, seed: int, first: int, cases: int) -> Iterator[Finding]:
    """The findings among so many cases, from the first."""
    try_case(reader, case_of(reader, seed, first), folder)  # what is imported is no case's memory
    peak = _Peak()
    for number in range(first, first + cases):
        data = case_of(reader, seed, number)
        peak.begin()
        seconds, message = try_case(reader, data, folder)
        taken = peak.taken()
        if seconds > SECONDS and not message:  # a busy machine, perhaps: the reader's share is less
            seconds = min(seconds, try_case(reader, data, folder)[0])
        if seconds > SECONDS:
            message = message or f"{seconds:.2f} s of work"
        if taken > reader.memory:
            message = message or f"{taken >> 20} MiB of memory"
        if message:
            yield Finding(reader.name, f"{seed}/{number}", len(data), message)


def try_case(reader: Reader, data: bytes, folder: Path) -> tuple[float, str]:
    """Seconds of work, and what was raised that should not be; mostly empty."""
    message = ""
    start = time.process_time()
    try:
        with _bounded(), contextlib.redirect_stdout(io.StringIO()):
            reader.read(data, folder)
    except reader.refusals:
        pass
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__} {str(error)[:100]!r} in {where.name}, {where.filename}"
        if isinstance(error, KeyboardInterrupt):
            raise
    return time.process_time() - start, message


class _TooLong(BaseException):
    """A case that would go on and on."""


@contextmanager
def _bounded() -> Iterator[None]:
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class _Peak:
    """How far this process's memory rose during a case; nothing where the system does not say."""

    def __init__(self) -> None:
        self._before = 0
        self._begun = False

    def begin(self) -> None:
        """Before a case. The mark is only set back where a case has raised it much."""
        if not self._begun:
            with contextlib.suppress(OSError):
                _REFERENCES.write_text("5")
            self._before = _high_water()
            self._begun = True

    def taken(self) -> int:
        """Bytes by which the mark has risen since it was last set back."""
        risen = _high_water() - self._before
        self._begun = risen < MEMORY // 2
        return risen


def _high_water() -> int:
    """Bytes of memory this process has had at once."""
    try:
        text = _STATUS.read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) << 10
