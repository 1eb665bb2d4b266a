"""The tasks: what an image is generated from. Each task is a file.

A task shares the loaded model's weights, whichever pipeline it needs: there is no second copy.
"""

from dream.core.recipe import Recipe
from dream.engine.tasks import image_to_image, inpainting, text_to_image
from dream.engine.tasks.task import PipelineCall, Task, TaskInputs

TASKS: tuple[Task, ...] = (inpainting, image_to_image, text_to_image)
"""The first task that accepts a recipe generates it."""


def choose_task(recipe: Recipe, inputs: TaskInputs) -> Task:
    """The task that generates this recipe."""
    return next(task for task in TASKS if task.accepts(recipe, inputs))


__all__ = ["TASKS", "PipelineCall", "Task", "TaskInputs", "choose_task"]
