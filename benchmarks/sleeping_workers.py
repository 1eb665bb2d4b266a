"""Workers that sleep for each step: what is left is the cost of several workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

from PIL import Image

from dream.core.model_options import ModelOptions
from dream.core.picture import Picture
from dream.engine.interface import Progress
from dream.worker.pool_worker import Report
from dream.worker.protocol import RenderTask, Task, TaskDone, TaskProgress, TaskStarted

STEP_SECONDS = 0.2


class SleepingWorker:
    """A PoolWorker that sleeps for each step."""

    def __init__(self, name: str, report: Report) -> None:
        self.name, self._report = name, report
        self._tasks: SimpleQueue[tuple[int, Task] | None] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def start(self, job: int, task: Task) -> None:
        self._tasks.put((job, task))

    def cancel(self, job: int) -> None:
        raise AssertionError("nothing is cancelled here")

    def preload(self, model: str, options: ModelOptions) -> None:
        pass

    def list_loaded(self) -> Sequence[str]:
        return ()

    def has_model(self, model: str) -> bool:
        return True

    def get_memory_usage(self) -> int:
        return 0

    def restart(self) -> None:
        raise AssertionError("a thread does not die")

    def close(self) -> None:
        self._tasks.put(None)

    def _run(self) -> None:
        while (entry := self._tasks.get()) is not None:
            job, task = entry
            assert isinstance(task, RenderTask)
            recipe = task.recipe
            self._report(TaskStarted(job))
            for step in range(1, recipe.steps + 1):
                time.sleep(STEP_SECONDS)
                self._report(TaskProgress(job, Progress("render", step, recipe.steps)))
            image = Image.new("RGB", (recipe.width, recipe.height))
            self._report(TaskDone(job, Picture(image, recipe, {})))
