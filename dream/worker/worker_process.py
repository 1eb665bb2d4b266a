"""One worker process, from the prompt's side: start it, send and receive, end it.

Two threads use the socket, one sends and one listens. Whoever waits for an image waits in one
place, where it can be woken, and a Ctrl-C never splits a message. Whatever ends one thread ends the
worker: a message that cannot be read counts as its death. Only `kill` closes anything, after both
threads have ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from dream.core.errors import DreamError, OutOfMemory
from dream.worker import start_worker as start
from dream.worker.channel import Channel, UnreadableMessage, pack_message
from dream.worker.protocol import (
    Answer,
    CancelTask,
    Init,
    LoadedModels,
    TaskCancelled,
    TaskDone,
    TaskFailed,
    WorkerCommand,
    WorkerUnusable,
)

SENDING_PATIENCE = 60.0
"""Seconds without a single byte received after which a worker counts as dead."""

_SIGNALS = {
    int(getattr(signal, name)): f": {meaning}"
    for name, meaning in (
        ("SIGBUS", "a file that it reads was cut short, or its disk failed"),
        ("SIGSEGV", "a fault in a library or a driver"),
        ("SIGILL", "a library needs another processor"),
    )
    if hasattr(signal, name)
}
"""What a signal means, where its reason is known. SIGKILL can be anything."""


class WorkerExited(Exception):
    """The worker has ended; the text says how."""

    is_intended = False
    """Whether it was ended on purpose, by `dismiss`."""


@dataclass(frozen=True)
class JobCancelled:
    """Put into the inbox on this side, by the thread that cancelled the job, for the one that waits
    for it."""

    job: int


class WorkerProcess:
    """A worker process. `send` and `receive` raise WorkerExited once it has ended, or the
    DreamError for which it left."""

    def __init__(self, opening: Init) -> None:
        """Start it. It imports torch by itself, and receives messages from the start. Raises
        WorkerExited when the system cannot start a process."""
        self.ready: tuple[str, ...] = ()
        """The models it has in memory, the one used last at the end."""
        self.over = 0
        """The number of the last job that has ended in any way."""
        self.broken: DreamError | None = None
        """Why it cannot work on this machine."""
        self.answered = False
        """Whether it ever sent a message: then its imports work."""
        self.dismissed = False
        """Whether it was ended on purpose, by `dismiss`."""
        self._has_exited = False
        self._why = ""  # why it counts as dead, where it did not exit
        self._process, self._channel, self._output = _start_process()
        self._channel.set_timeout(SENDING_PATIENCE)
        self._inbox: SimpleQueue[Answer | JobCancelled | None] = SimpleQueue()
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._receive_loop, name="worker-inbox", daemon=True),
            threading.Thread(target=self._send_loop, name="worker-outbox", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._outbox.put(pack_message(opening))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: Init | WorkerCommand | CancelTask) -> None:
        """Queue a message for sending, without waiting."""
        if self._has_exited:
            raise self._exit_error()
        try:
            self._outbox.put(pack_message(message))
        except MemoryError:
            raise OutOfMemory("not enough memory to send the image to the worker") from None

    def wake(self, job: int) -> None:
        """Make `receive` return that a job was cancelled. For any thread, and signal handlers."""
        self._inbox.put(JobCancelled(job))

    def receive(self, seconds: float | None = None) -> Answer | JobCancelled:
        """The next message. Raises TimeoutError after this many seconds."""
        if self._has_exited and self._inbox.empty():
            raise self._exit_error()
        try:
            answer = self._inbox.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if answer is None:
            raise self._exit_error()
        return answer

    def dismiss(self) -> None:
        """End it, from any thread; `receive` then raises WorkerExited."""
        self.dismissed = True
        self._process.kill()

    def kill(self) -> None:
        """End it at once, and close the socket."""
        with suppress(subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(timeout=5)
        self._channel.shut_down()
        self._outbox.put(None)
        for thread in self._threads:
            thread.join(timeout=5)
        if not any(thread.is_alive() for thread in self._threads):
            self._channel.close()
        self._output.close()

    def _exit_error(self) -> WorkerExited | DreamError:
        self._threads[0].join(timeout=5)  # it may still be reading the last messages
        return self.broken or WorkerExited(self._why or self._exit_reason())

    def _exit_reason(self) -> str:
        """How it ended: the signal or exit status, and the last line of its output if there is
        one."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it no longer answered"
        if status < 0:
            return f"signal {-status}{_SIGNALS.get(-status, '')}"
        return ": ".join([f"exit status {status}", *self._stderr_tail()])

    def _stderr_tail(self) -> list[str]:
        """The last line of its output, if there is one."""
        with suppress(OSError, ValueError):
            self._output.seek(0)
            return self._output.read().decode(errors="replace").strip().splitlines()[-1:]
        return []

    # ── the two threads ────────────────────────────────────────────────────────────────────────

    def _send_loop(self) -> None:
        """Send what is in the outbox. The listening thread reports what cannot be sent."""
        try:
            while (data := self._outbox.get()) is not None:
                self._channel.send(data)
        except BlockingIOError:
            self._why = f"it received nothing for {SENDING_PATIENCE:.0f} s"
            self._channel.shut_down()
        except OSError:
            pass  # it has exited or is exiting, and its last messages are still to be read
        except BaseException as error:
            self._why = f"a message to it cannot be sent: {_describe_error(error)}"
            self._channel.shut_down()

    def _receive_loop(self) -> None:
        try:
            while True:
                self._handle(self._channel.receive())
        except (EOFError, OSError):
            pass
        except BaseException as error:
            self._why = self._why or f"its answer cannot be read: {_describe_error(error)}"
        finally:
            self._channel.shut_down()
            self._has_exited = True
            self._inbox.put(None)

    def _handle(self, answer: object) -> None:
        self.answered = True
        match answer:
            case UnreadableMessage(_, error):
                raise error
            case LoadedModels(models):
                self.ready = models
            case WorkerUnusable(error):
                self.broken = error
            case TaskCancelled(job):
                self.over = job
            case TaskDone(job) | TaskFailed(job):
                self.over = job
                self._inbox.put(answer)
            case _:
                self._inbox.put(answer)  # type: ignore[arg-type]


def _start_process() -> tuple[subprocess.Popen[bytes], Channel, IO[bytes]]:
    """The process, our end of the socket, and the file with its output. Raises WorkerExited."""
    with ExitStack() as undo:
        try:
            output = undo.enter_context(tempfile.TemporaryFile())
            ours, theirs = map(undo.enter_context, socket.socketpair())
            process = start.start(theirs, output)
            theirs.close()
        except OSError as error:
            why = error.strerror or error
            raise WorkerExited(f"the process cannot be started: {why}") from error
        undo.pop_all()
        return process, Channel(ours), output


def _describe_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip(": ")


def measure_resident_memory(pid: int) -> int:
    """Resident bytes of a process; 0 where the system has no /proc, or the process has ended."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0
