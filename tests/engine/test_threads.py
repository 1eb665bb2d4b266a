"""The number of threads is a value of the recipe, since it changes the lowest bits."""

from __future__ import annotations

from pathlib import Path

import torch

from dream.catalogue import ModelRegistry
from dream.engine.interface import DeviceConfig
from dream.line import format_line
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import RenderTask
from tests.recipes import recipe


def test_a_recipe_says_how_many_threads_render_it(random_models: Path) -> None:
    executor = TaskExecutor(ModelRegistry([random_models]), DeviceConfig())
    before = torch.get_num_threads()
    for threads in (2, 3, None):
        asked = recipe(model="random", threads=threads, steps=1)
        picture = executor.run(RenderTask(asked), lambda event: None)
        assert picture.facts["threads"] == str(threads or before)
        assert torch.get_num_threads() == before
        line = format_line(picture.recipe.to_request())
        assert (f"--threads={threads}" in line) == (threads is not None)
    executor.close()
