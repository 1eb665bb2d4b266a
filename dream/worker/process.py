"""One worker process, seen from outside: started, spoken to, outlived."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue

import dream
from dream.errors import DreamError
from dream.worker.wire import Answer, Broken, Cancel, Done, Failed, Left, Open, Order, Ready

START = "import sys; sys.path.append(sys.argv[2]); from dream.worker.host import main; main()"
"""Appended, for an installed dream is on the path already, and a checkout's may not be."""

ENVIRONMENT = {
    # Models are on disk. Whatever a library would like to look up, it shall not.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # Weights are numbers: no pickle may run code, whatever a library or the user's shell says.
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
}
ADVISED = {
    # How often a thread looks before it waits asleep: for about half a millisecond, longer than
    # from one operation to the next, and a tenth of GNU's default. Never looking costs a small
    # model a third of its time on a quiet machine; looking for long was measured to cost several
    # times that on one with other work.
    "GOMP_SPINCOUNT": "30000",
}
"""Unless the user's environment says otherwise."""

FORBIDDEN = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "PYTHONWARNINGS")


class Died(Exception):
    """The worker is no more; the text says how."""


@dataclass(frozen=True)
class Unwanted:
    """Said on this side of the wire, by whoever gave the job up to whoever waits for it."""

    job: int


class Process:
    """A worker process. `send` and `receive` raise Died once it is gone, or the DreamError for
    which it left."""

    def __init__(self, opening: Open) -> None:
        """Start it. It imports torch by itself, and takes messages from the first moment."""
        self.ready: tuple[str, ...] = ()
        """The models it has in memory, the one used last at the end."""
        self.over = 0
        """The number of the last job that has ended in any way."""
        self.broken: DreamError | None = None
        """Why it cannot work on this machine."""
        ours, theirs = socket.socketpair()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed in kill()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(theirs.fileno()), _package_root()],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env=_environment(),
                start_new_session=True,  # a Ctrl-C in the terminal is not meant for it
            )
        self._connection = Connection(ours.detach())
        self._sending = threading.Lock()
        self._inbox: SimpleQueue[Answer | Unwanted | None] = SimpleQueue()
        # A thread of its own, for a Ctrl-C in the middle of a message would lose its other half.
        self._listener = threading.Thread(target=self._listen, name="worker-inbox", daemon=True)
        self._listener.start()
        with suppress(Died, DreamError):  # said at the first job
            self.send(opening)

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._process.pid

    def send(self, message: Open | Order | Cancel) -> None:
        """Hand a message over."""
        try:
            with self._sending:
                self._connection.send(message)
        except OSError as error:
            raise self._end() from error
        except BaseException:
            self.kill()  # interrupted half-way: what it would hear next has no beginning
            raise

    def wake(self, job: int) -> None:
        """Have `receive` answer that a job is unwanted. For any thread."""
        self._inbox.put(Unwanted(job))

    def receive(self, seconds: float | None = None) -> Answer | Unwanted:
        """The next message. Raises TimeoutError after so many seconds."""
        try:
            answer = self._inbox.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if answer is None:
            self._inbox.put(None)  # it stays dead
            raise self._end()
        return answer

    def _end(self) -> Died | DreamError:
        self._listener.join(timeout=5)  # it may still be reading the last words
        return self.broken or Died(self._epitaph())

    def _epitaph(self) -> str:
        """How it ended: the signal or status, and its last words if it had any."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it no longer answered"
        if status < 0:
            return f"signal {-status}"
        return ": ".join([f"exit status {status}", *self._last_words()])

    def _last_words(self) -> list[str]:
        """The last line of its output, if there is one."""
        with suppress(OSError, ValueError):
            self._output.seek(0)
            return self._output.read().decode(errors="replace").strip().splitlines()[-1:]
        return []

    def kill(self) -> None:
        """End it, at once and whatever it does."""
        self._process.kill()
        self._process.wait()
        self._listener.join(timeout=5)
        self._output.close()

    def _listen(self) -> None:
        try:
            while True:
                match self._connection.recv():
                    case Ready(models):
                        self.ready = models
                    case Broken(error):
                        self.broken = error
                    case Left(job):
                        self.over = job
                    case answer:
                        if isinstance(answer, Done | Failed):
                            self.over = answer.job
                        self._inbox.put(answer)
        except (EOFError, OSError):
            self._connection.close()
            self._inbox.put(None)


def resident(pid: int) -> int:
    """Bytes of main memory a process takes now; 0 where the system has no /proc, or it is gone."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _package_root() -> str:
    return str(Path(dream.__file__).resolve().parents[1])


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FORBIDDEN}
    return ADVISED | kept | ENVIRONMENT
