"""A session with pictures, and a fake engine that looks at them in the making: FOLDER PAUSE."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from dream.engine.base import Happenings, Progress
from dream.events import Preview
from dream.launch import Launch
from dream.recipe import Recipe
from dream.terminal.prompt import run
from tests.fakes import FakeEngine, colour, fake_studio


class LookingEngine(FakeEngine):
    """Each of its steps comes with a look."""

    def render(self, recipe: Recipe, every: int = 0) -> Happenings:
        """As the other's, with the picture's colour in every preview."""
        look = Preview(8, 8, bytes(colour(recipe)) * 64)
        for happening in super().render(recipe, every):
            if isinstance(happening, Progress):
                yield replace(happening, preview=look)
            else:
                yield happening


if __name__ == "__main__":
    studio = fake_studio(Path(sys.argv[1]), LookingEngine(pause=float(sys.argv[2])))
    sys.exit(run(lambda: studio, studio.outdir, Launch(preview_size=8)))
