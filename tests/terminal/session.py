"""A session with the fake engine, for tests to run under a pseudo-terminal: FOLDER PAUSE."""

from __future__ import annotations

import sys
from pathlib import Path

from dream.core.recipe import Recipe
from dream.terminal.prompt import run_prompt
from tests.fakes import FakeEngine, fake_session


def fails(recipe: Recipe) -> None:
    """A picture of a bug is a bug."""
    if recipe.prompt == "a bug":
        raise ZeroDivisionError("of the engine")


if __name__ == "__main__":
    engine = FakeEngine(pause=float(sys.argv[2]), fails=fails)
    session = fake_session(Path(sys.argv[1]), engine, "tiny", "twin")
    sys.exit(run_prompt(lambda: session, session.outdir))
