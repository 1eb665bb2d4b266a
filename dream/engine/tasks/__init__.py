"""What can be painted, and from what: each task is a file.

A task shares the loaded model's weights, whatever pipeline it needs: there is no second copy.
"""

from dream.engine.tasks import image_to_image, inpainting, text_to_image
from dream.engine.tasks.base import Given, Job, Task
from dream.recipe import Recipe

TASKS: tuple[Task, ...] = (inpainting, image_to_image, text_to_image)
"""In the order they are asked."""


def task_for(recipe: Recipe, given: Given) -> Task:
    """The task that makes this picture."""
    return next(task for task in TASKS if task.takes(recipe, given))


__all__ = ["TASKS", "Given", "Job", "Task", "task_for"]
