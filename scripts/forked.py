"""Starts `dream` and its workers as forks of this process, which has imported everything.

A start of the real program takes seconds of importing torch, and so does each new worker. A fork
takes some 50 ms, which makes a thousand rounds of `scripts.kill_rounds` possible. Everything after
the imports is the real program: processes, signals, the socket between them, files.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import psutil

from dream.worker import start_worker


class ForkedProcess:
    """A child process, with the part of subprocess.Popen's interface that dream uses."""

    stdin = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, or minus the signal. Raises subprocess.TimeoutExpired."""
        try:
            return int(self._process.wait(timeout) or 0)
        except psutil.TimeoutExpired:
            raise subprocess.TimeoutExpired("dream", timeout or 0) from None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def import_everything(model: str, folder: Path) -> None:
    """Make an image in this process, so that all that the program and its workers import is here.
    It uses one thread of the processor, because a fork loses all others."""
    os.environ.update({**start_worker.ENVIRONMENT, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    import dream.cli.app
    import dream.cli.batch
    import dream.cli.session_factory
    import dream.worker.server
    from dream.worker.inprocess import InProcessEngine

    with dream.open(model, outdir=str(folder)) as session:
        session.engine = InProcessEngine(session.registry)
        events = list(session.make("a red circle -s1"))
    assert any(event.name == "saved" for event in events), events


def fork_program(arguments: Sequence[str], folder: Path, out: int, err: int) -> ForkedProcess:
    """Run `dream` with these arguments in a folder; it prints to these descriptors."""

    def run() -> int:
        from dream.cli.app import main
        from dream.worker.server import main as serve

        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        start_worker.start = partial(fork_worker, serve)
        return main(list(arguments))

    return _fork(run, out, err)


def fork_worker(
    serve: Callable[[], None], theirs: socket.socket, output: IO[bytes]
) -> ForkedProcess:
    """Like `dream.worker.start_worker.start`, with the worker's main function."""

    def run() -> int:
        sys.argv = ["-c", str(theirs.fileno()), ""]
        serve()
        return 0

    return _fork(run, output.fileno(), output.fileno(), theirs.fileno())


def _fork(run: Callable[[], int], out: int, err: int, used: int = -1) -> ForkedProcess:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid:
        return ForkedProcess(pid)
    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        _close_others(used)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            for number, mode in enumerate(("r", "w", "w"))
        )
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)


def _close_others(used: int) -> None:
    """Make every descriptor but the standard ones lead nowhere. Closing them would let objects of
    the parent process close the numbers again, when they are somebody else's."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for path in Path("/proc/self/fd").iterdir():
        if (file := int(path.name)) not in (1, 2, used, nowhere):
            with suppress(OSError):  # the one that lists them is closed already
                os.fstat(file)
                os.dup2(nowhere, file)
