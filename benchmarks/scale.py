"""How much faster several workers are, and what each image costs the session's thread.

    python -m benchmarks.scale [--sleeping] [--images N]

Two workers of one thread each against one, with the shipped model (goal: 1.8 times as fast on two
free cores); then workers that only sleep, 2 to 32 of them (goal: 0.95 N), and the processor time of
the session for each image with 32 workers (goal: at most 5 ms).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

from PIL import Image

from dream.catalogue import ModelRegistry, find_models_dirs
from dream.core.events import Saved
from dream.core.model_options import ModelOptions
from dream.core.picture import Picture
from dream.core.request import Request
from dream.engine.interface import DeviceConfig, Progress
from dream.session import Session
from dream.worker.open_pool import list_factories
from dream.worker.pool import WorkerPool
from dream.worker.pool_worker import Report
from dream.worker.protocol import (
    RenderTask,
    Task,
    TaskDone,
    TaskProgress,
    TaskStarted,
)

STEPS, STEP_SECONDS = 10, 0.2


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


def measure(session: Session, line: str) -> tuple[float, float]:
    """Seconds for the images of a line, and processor seconds of this thread for each."""
    began, worked, saved = time.monotonic(), time.thread_time(), 0
    for event in session.make(line):
        saved += isinstance(event, Saved)
    return time.monotonic() - began, (time.thread_time() - worked) / saved


def measure_sleeping(registry: ModelRegistry, workers: int, images: int) -> tuple[float, float]:
    """How many times as fast as one worker so many are, and the cost of an image in seconds."""
    pool = WorkerPool(
        [lambda report, n=n: SleepingWorker(f"sleeping {n}", report) for n in range(workers)]
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Session(pool, registry, Request(outdir=folder)) as session,
    ):
        seconds, cost = measure(session, f"a cat -S1 -s{STEPS} -W64 -H64 -n{images * workers}")
    alone = images * workers * STEPS * STEP_SECONDS
    return alone / seconds, cost


def measure_shipped(registry: ModelRegistry, workers: int, images: int) -> float:
    """Seconds for so many images with workers of one thread each, after they have loaded."""
    pool = WorkerPool(list_factories(registry, DeviceConfig(device="cpu"), ["cpu"] * workers))
    with (
        tempfile.TemporaryDirectory() as folder,
        Session(pool, registry, Request(outdir=folder, threads=1)) as session,
    ):
        measure(session, f"a cat -S1 -s1 -n{2 * workers}")
        return measure(session, f"a red circle on blue -S1 -s10 -n{images}")[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sleeping", action="store_true", help="only the workers that sleep")
    parser.add_argument("--images", type=int, default=8, help="with the shipped model")
    chosen = parser.parse_args()
    registry = ModelRegistry(find_models_dirs(None))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{os.cpu_count()} cores, load {load:.1f}")
    for workers in (1, 2, 4, 8, 16, 32):
        times, cost = measure_sleeping(registry, workers, 4)
        print(
            f"{workers:3} sleeping workers: {times:.2f} times one ({times / workers:.2f} N),"
            f" {cost * 1000:.1f} ms of the session's thread an image"
        )
    if not chosen.sleeping:
        one, two = (measure_shipped(registry, workers, chosen.images) for workers in (1, 2))
        print(
            f"shipped model, one thread each: one worker {one:.1f} s, two {two:.1f} s:"
            f" {one / two:.2f} times"
        )


if __name__ == "__main__":
    main()
