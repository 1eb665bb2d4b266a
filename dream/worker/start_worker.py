"""A worker process is started, and finds its end of the wire.

Elsewhere than on Windows it inherits the socket. Windows has no inheriting of sockets that Python
offers: there it is shared, as bytes on standard input, with the one process they are for.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import dream

START = "import sys; sys.path.append(sys.argv[2]); from dream.worker.server import main; main()"
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
DEFAULT_ENV = {
    # How often a thread looks before it waits asleep: for about half a millisecond, longer than
    # from one operation to the next, and a tenth of GNU's default. Never looking costs a small
    # model a third of its time on a quiet machine; looking for long was measured to cost several
    # times that on one with other work.
    "GOMP_SPINCOUNT": "30000",
}
"""Unless the user's environment says otherwise."""

REMOVED_ENV = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "PYTHONWARNINGS")

SHARED = "shared"
"""In place of a descriptor's number: the socket comes on standard input."""


def start(theirs: socket.socket, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """A worker at this end of the wire; what it prints goes to `output`. Raises OSError."""
    shares = sys.platform == "win32"
    # A Ctrl-C in the terminal is not meant for it.
    apart: dict[str, Any] = {"start_new_session": True, "pass_fds": (theirs.fileno(),)}
    if shares:
        apart = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-c", START),
            *(SHARED if shares else str(theirs.fileno()), _package_root()),
        ],
        stdin=subprocess.PIPE if shares else subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=_environment(),
        **apart,
    )
    if process.stdin is not None:
        share = theirs.share  # type: ignore[attr-defined,unused-ignore]  # on Windows alone
        try:
            with process.stdin as told:
                told.write(share(process.pid))
        except OSError:
            process.kill()
            process.wait()
            raise
    return process


def open_inherited(argument: str) -> socket.socket:
    """The worker's end of the wire, by the first word that it was started with."""
    if argument == SHARED:
        end: socket.socket = socket.fromshare(  # type: ignore[attr-defined,unused-ignore]
            sys.stdin.buffer.read()
        )
        return end
    handle = int(argument)
    os.set_inheritable(handle, False)
    return socket.socket(fileno=handle)


def get_install_times() -> tuple[float, ...]:
    """When something was last put into each folder that modules are imported from: another value
    means that what a worker died of may have been mended."""
    return tuple(_changed(Path(folder)) for folder in (*sys.path, sys.prefix) if folder)


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _package_root() -> str:
    return str(Path(dream.__file__).resolve().parents[1])


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in REMOVED_ENV}
    return DEFAULT_ENV | kept | ENVIRONMENT
