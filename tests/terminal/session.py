"""A session with the fake engine, for tests to run under a pseudo-terminal: FOLDER PAUSE. It opens
when somebody writes to the pipe OPENS_WITH, if there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dream.core.recipe import Recipe
from dream.session import Session
from dream.terminal.prompt import run_prompt
from tests.fakes import FakeEngine, fake_session


def fails(recipe: Recipe) -> None:
    """A picture of a bug is a bug."""
    if recipe.prompt == "a bug":
        raise ZeroDivisionError("of the engine")


if __name__ == "__main__":
    engine = FakeEngine(pause=float(sys.argv[2]), fails=fails)
    session = fake_session(Path(sys.argv[1]), engine, "tiny", "twin")

    def open_session() -> Session:
        if pipe := os.environ.get("OPENS_WITH"):
            Path(pipe).read_bytes()
        return session

    sys.exit(run_prompt(open_session, session.outdir))
