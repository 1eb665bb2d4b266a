"""What can be painted, and from what: each task is a file.

A task shares the loaded model's weights, whatever pipeline it needs: there is no second copy.
"""

from dream.core.recipe import Recipe
from dream.engine.tasks import image_to_image, inpainting, text_to_image
from dream.engine.tasks.task import PipelineCall, Task, TaskInputs

TASKS: tuple[Task, ...] = (inpainting, image_to_image, text_to_image)
"""In the order they are asked."""


def choose_task(recipe: Recipe, given: TaskInputs) -> Task:
    """The task that makes this picture."""
    return next(task for task in TASKS if task.accepts(recipe, given))


__all__ = ["TASKS", "PipelineCall", "Task", "TaskInputs", "choose_task"]
