"""A session with pictures, and a fake engine that looks at them in the making: FOLDER PAUSE."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from dream.core.cli_options import CliOptions
from dream.core.events import Preview
from dream.core.recipe import Recipe
from dream.engine.interface import EngineEvents, Progress
from dream.terminal.prompt import run_prompt
from tests.fakes import FakeEngine, colour, fake_session


class LookingEngine(FakeEngine):
    """Each of its steps comes with a look."""

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """As the other's, with the picture's colour in every preview."""
        preview = Preview(8, 8, bytes(colour(recipe)) * 64)
        for event in super().render(recipe, every):
            if isinstance(event, Progress):
                yield replace(event, preview=preview)
            else:
                yield event


if __name__ == "__main__":
    session = fake_session(Path(sys.argv[1]), LookingEngine(pause=float(sys.argv[2])))
    sys.exit(run_prompt(lambda: session, session.outdir, CliOptions(preview_size=8)))
