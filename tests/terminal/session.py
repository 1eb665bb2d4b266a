"""A session with the fake engine, for tests to run under a pseudo-terminal: FOLDER PAUSE."""

from __future__ import annotations

import sys
from pathlib import Path

from dream.terminal.prompt import run
from tests.fakes import FakeEngine, fake_studio

if __name__ == "__main__":
    with fake_studio(Path(sys.argv[1]), FakeEngine(pause=float(sys.argv[2])), "tiny", "twin") as it:
        sys.exit(run(it))
