"""From Enter in the shell to the first visible prompt: ours over a bare prompt_toolkit prompt.

    python -m benchmarks.startup [ROUNDS]

Both are started on a terminal (a pty) and watched until `dream>` stands on it.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.abab import HEAD, compare

GOAL = 1.2
PATIENCE = 120.0
OURS = ["-c", "import sys; from dream.__main__ import main; sys.exit(main())"]
"""What the installed command is."""
BARE = ["-c", "from prompt_toolkit import PromptSession; PromptSession().prompt('dream> ')"]
ROOT = Path(__file__).resolve().parents[1]

_ESCAPE = re.compile(
    rb"\x1b(\[[0-9;?>]*[ -/]*[@-~]|\][^\x07]*\x07|_[^\x1b]*\x1b\\|[()][0-9A-B]|[=>78DM])|\r"
)
_PROMPT = re.compile(rb"^dream>", re.MULTILINE)


def until_prompt(arguments: list[str], folder: str) -> float:
    """Seconds from starting Python with these arguments until the prompt is on the terminal."""
    began = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "HOME": folder}
        os.execv(sys.executable, [sys.executable, *arguments])
    try:
        _watch(terminal, began)
        return time.perf_counter() - began
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(child, 0)
        time.sleep(0.5)  # ours has a worker, which leaves by itself


def _watch(terminal: int, began: float) -> None:
    screen = b""
    while not _PROMPT.search(_ESCAPE.sub(b"", screen)):
        left = began + PATIENCE - time.perf_counter()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            raise TimeoutError(f"no prompt within {PATIENCE:.0f} s: {screen[-400:]!r}")
        new = os.read(terminal, 4096)
        if b"\x1b[6n" in new:
            os.write(terminal, b"\x1b[1;1R")  # a terminal tells where its cursor is
        if b"\x1b[c" in new:
            os.write(terminal, b"\x1b[?62;22c")  # and what it can show
        screen += new


def main() -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=11)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        found = compare(
            "first visible prompt, over a bare prompt",
            lambda: until_prompt(OURS, folder),
            lambda: until_prompt(BARE, folder),
            rounds,
            GOAL,
        )
    print(HEAD)
    print(found)


if __name__ == "__main__":
    main()
