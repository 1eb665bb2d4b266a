"""Starts a worker process, and connects it to this one.

On Windows, where Python cannot inherit sockets, the socket is shared as bytes on standard input,
for the one process they are meant for; elsewhere it is inherited.
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
"""dream's folder is appended to the path, because an installed dream is on it already, and a
checkout may not be."""

ENVIRONMENT = {
    # Models are on disk: libraries must not use the network.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # No pickle may run code, whatever a library or the user's shell sets.
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
}
DEFAULT_ENV = {
    # How often a thread spins before it sleeps: for about half a millisecond, longer than from one
    # operation to the next, and a tenth of GNU's default. Without spinning a small model takes a
    # third longer on an idle machine; long spinning was measured to cost several times that on a
    # busy one.
    "GOMP_SPINCOUNT": "30000",
}
"""Used where the user's environment does not set them."""

REMOVED_ENV = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "PYTHONWARNINGS")

SHARED = "shared"
"""Instead of a descriptor's number: the socket comes on standard input."""


def start(theirs: socket.socket, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a worker at this end of the socket; what it prints goes to `output`. Raises OSError."""
    shares = sys.platform == "win32"
    # Ctrl-C in the terminal must not reach it.
    apart: dict[str, Any] = {"start_new_session": True, "pass_fds": (theirs.fileno(),)}
    if shares:
        names = ("CREATE_NEW_PROCESS_GROUP", "BELOW_NORMAL_PRIORITY_CLASS")
        apart = {"creationflags": sum(getattr(subprocess, name, 0) for name in names)}
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
        share = theirs.share  # type: ignore[attr-defined,unused-ignore]  # only on Windows
        try:
            with process.stdin as pipe:
                pipe.write(share(process.pid))
        except OSError:
            process.kill()
            process.wait()
            raise
    return process


def open_inherited(argument: str) -> socket.socket:
    """The worker's end of the socket, from its first argument."""
    if argument == SHARED:
        end: socket.socket = socket.fromshare(  # type: ignore[attr-defined,unused-ignore]
            sys.stdin.buffer.read()
        )
        return end
    handle = int(argument)
    os.set_inheritable(handle, False)
    return socket.socket(fileno=handle)


def get_install_times() -> tuple[float, ...]:
    """When each folder that modules are imported from changed last. A different value means that a
    package was installed, and may have repaired what a worker died of."""
    return tuple(_changed(Path(folder)) for folder in (*sys.path, sys.prefix) if folder)


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _package_root() -> str:
    return str(Path(dream.__file__).resolve().parents[1])


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in REMOVED_ENV}
    return DEFAULT_ENV | inherited | ENVIRONMENT
