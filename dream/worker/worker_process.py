"""One worker process, seen from outside: started, spoken to, outlived.

Two threads stand at the wire, one that sends and one that listens, so that whoever waits for a
picture waits in one place, where it can be woken, and a Ctrl-C never parts a message. Whatever
ends one of them ends the worker: what is not understood is as good as a death. Only `kill` closes
anything, after both have ended.
"""

from __future__ import annotations

import os
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
"""Seconds in which a worker takes not one byte of what is sent to it before it counts as dead."""


class WorkerExited(Exception):
    """The worker is no more; the text says how."""


@dataclass(frozen=True)
class JobCancelled:
    """Said on this side of the wire, by whoever gave the job up to whoever waits for it."""

    job: int


class WorkerProcess:
    """A worker process. `send` and `receive` raise Died once it is gone, or the DreamError for
    which it left."""

    def __init__(self, opening: Init) -> None:
        """Start it. It imports torch by itself, and takes messages from the first moment. Raises
        Died when the system starts no process."""
        self.ready: tuple[str, ...] = ()
        """The models it has in memory, the one used last at the end."""
        self.over = 0
        """The number of the last job that has ended in any way."""
        self.broken: DreamError | None = None
        """Why it cannot work on this machine."""
        self.answered = False
        """Whether it ever said anything: then it could import what it needs."""
        self.dismissed = False
        """Whether it was ended on purpose, by `dismiss`."""
        self._gone = False
        self._why = ""  # it counts as dead, where it did not die
        self._process, self._channel, self._output = _started()
        self._channel.set_timeout(SENDING_PATIENCE)
        self._inbox: SimpleQueue[Answer | JobCancelled | None] = SimpleQueue()
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._listen, name="worker-inbox", daemon=True),
            threading.Thread(target=self._post, name="worker-outbox", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._outbox.put(pack_message(opening))

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._process.pid

    def send(self, message: Init | WorkerCommand | CancelTask) -> None:
        """Have a message handed over, without waiting for that."""
        if self._gone:
            raise self._end()
        try:
            self._outbox.put(pack_message(message))
        except MemoryError:
            raise OutOfMemory("not enough memory to send the image to the worker") from None

    def wake(self, job: int) -> None:
        """Have `receive` answer that a job is unwanted. For any thread, and signal handlers."""
        self._inbox.put(JobCancelled(job))

    def receive(self, seconds: float | None = None) -> Answer | JobCancelled:
        """The next message. Raises TimeoutError after so many seconds."""
        if self._gone and self._inbox.empty():
            raise self._end()
        try:
            answer = self._inbox.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if answer is None:
            raise self._end()
        return answer

    def dismiss(self) -> None:
        """End it, from any thread; whoever waits for it hears that it died."""
        self.dismissed = True
        self._process.kill()

    def kill(self) -> None:
        """End it, at once and whatever it does, and let go of the wire."""
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

    def _end(self) -> WorkerExited | DreamError:
        self._threads[0].join(timeout=5)  # it may still be reading the last words
        return self.broken or WorkerExited(self._why or self._exit_reason())

    def _exit_reason(self) -> str:
        """How it ended: the signal or status, and its last words if it had any."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it no longer answered"
        if status < 0:
            return f"signal {-status}"
        return ": ".join([f"exit status {status}", *self._stderr_tail()])

    def _stderr_tail(self) -> list[str]:
        """The last line of its output, if there is one."""
        with suppress(OSError, ValueError):
            self._output.seek(0)
            return self._output.read().decode(errors="replace").strip().splitlines()[-1:]
        return []

    # ── the threads at the wire ────────────────────────────────────────────────────────────────

    def _post(self) -> None:
        """Sends what lies in the outbox. What cannot be sent is the listener's to hear."""
        try:
            while (data := self._outbox.get()) is not None:
                self._channel.send(data)
        except BlockingIOError:
            self._why = f"it received nothing for {SENDING_PATIENCE:.0f} s"
            self._channel.shut_down()
        except OSError:
            pass  # it is dead, or dying, and its last words are still to be heard
        except BaseException as error:
            self._why = f"a message to it cannot be sent: {_named(error)}"
            self._channel.shut_down()

    def _listen(self) -> None:
        try:
            while True:
                self._hear(self._channel.receive())
        except (EOFError, OSError):
            pass
        except BaseException as error:
            self._why = self._why or f"its answer cannot be read: {_named(error)}"
        finally:
            self._channel.shut_down()
            self._gone = True
            self._inbox.put(None)

    def _hear(self, answer: object) -> None:
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


def _started() -> tuple[subprocess.Popen[bytes], Channel, IO[bytes]]:
    """The process, our end of the wire, and the file with what it prints. Raises Died."""
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


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip(": ")


def measure_resident_memory(pid: int) -> int:
    """Bytes of main memory a process takes now; 0 where the system has no /proc, or it is gone."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0
