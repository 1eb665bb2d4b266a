"""How much faster several workers are, and what each image costs the session's thread.

    python -m benchmarks.scale [--sleeping | --ray] [--images N]

Two workers of one thread each against one, with the shipped model (goal: 1.8 times as fast on two
free cores); then workers that only sleep, 2 to 32 of them (goal: 0.95 N), and the processor time of
the session for each image with 32 workers (goal: at most 5 ms). With --ray, the workers that sleep
are actors of a Ray cluster on this machine, one process each (goal: 0.9 N).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.sleeping_workers import STEP_SECONDS, SleepingWorker
from dream.catalogue import ModelRegistry, find_models_dirs
from dream.core.events import Saved
from dream.core.request import Request
from dream.engine.interface import DeviceConfig
from dream.session import Session
from dream.worker.open_pool import list_factories
from dream.worker.pool import WorkerPool

STEPS = 10
WORKERS = (1, 2, 4, 8, 16, 32)
RAY_WORKERS = (2, 8, 32)


class Cost(NamedTuple):
    """Of the images of a line."""

    seconds: float
    thread: float
    """Processor seconds of the session's thread for each image."""
    process: float
    """Of all threads of the session's process, Ray's too."""


def measure(session: Session, line: str) -> Cost:
    """Render the images of a line."""
    began, saved = time.monotonic(), 0
    thread, process = time.thread_time(), time.process_time()
    for event in session.make(line):
        saved += isinstance(event, Saved)
    thread, process = time.thread_time() - thread, time.process_time() - process
    return Cost(time.monotonic() - began, thread / saved, process / saved)


def measure_sleeping(
    registry: ModelRegistry, pool: WorkerPool, workers: int, images: int
) -> tuple[float, Cost]:
    """How many times as fast as one worker so many are."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Session(pool, registry, Request(outdir=folder)) as session,
    ):
        measure(session, f"a cat -S1 -s1 -W64 -H64 -n{workers}")  # each has the model's hash
        cost = measure(session, f"a cat -S1 -s{STEPS} -W64 -H64 -n{images * workers}")
    return images * workers * STEPS * STEP_SECONDS / cost.seconds, cost


def open_threads(count: int) -> WorkerPool:
    """Workers in threads of this process."""
    return WorkerPool([lambda r, n=n: SleepingWorker(f"sleeping {n}", r) for n in range(count)])


def show_sleeping(
    registry: ModelRegistry,
    open_pool: Callable[[int], WorkerPool],
    counts: Sequence[int],
    images: int,
) -> None:
    """A line for each number of workers."""
    for workers in counts:
        began = time.monotonic()
        pool = open_pool(workers)
        ready = time.monotonic() - began
        times, cost = measure_sleeping(registry, pool, workers, images)
        print(
            f"{workers:3} workers that sleep: ready in {ready:.1f} s, {times:.2f} times one"
            f" ({times / workers:.2f} N), {cost.thread * 1000:.1f} ms of the session's thread an"
            f" image, {cost.process * 1000:.1f} ms of its process",
            flush=True,
        )


def show_ray(registry: ModelRegistry) -> None:
    """The same over actors of a cluster that is started here."""
    from dream.cluster.ray_connection import connect, import_ray

    began = time.monotonic()
    ray = import_ray(loopback=True)
    imported = time.monotonic() - began

    from benchmarks.sleeping_nodes import SleepingNodeWorker  # ray is imported, as it has to be
    from dream.cluster.ray_pool import RayCluster

    connect(ray, "")
    started = time.monotonic() - began
    print(f"Ray {ray.__version__}: imported in {imported:.1f} s, started in {started:.1f} s")

    def open_actors(count: int) -> WorkerPool:
        cluster = RayCluster(
            registry,
            DeviceConfig(device="cpu"),
            "",
            count,
            same_hardware=False,
            actor_class=SleepingNodeWorker,
        )
        return WorkerPool(cluster.open_workers())

    try:
        show_sleeping(registry, open_actors, RAY_WORKERS, 8)
    finally:
        ray.shutdown()


def measure_shipped(registry: ModelRegistry, workers: int, images: int) -> float:
    """Seconds for so many images with workers of one thread each, after they have loaded."""
    pool = WorkerPool(list_factories(registry, DeviceConfig(device="cpu"), ["cpu"] * workers))
    with (
        tempfile.TemporaryDirectory() as folder,
        Session(pool, registry, Request(outdir=folder, threads=1)) as session,
    ):
        measure(session, f"a cat -S1 -s1 -n{2 * workers}")
        return measure(session, f"a red circle on blue -S1 -s10 -n{images}").seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sleeping", action="store_true", help="only the workers that sleep")
    parser.add_argument("--images", type=int, default=8, help="with the shipped model")
    parser.add_argument("--ray", action="store_true", help="only workers that sleep, over Ray")
    chosen = parser.parse_args()
    registry = ModelRegistry(find_models_dirs(None))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{os.cpu_count()} cores, load {load:.1f}")
    if chosen.ray:
        show_ray(registry)
        return
    show_sleeping(registry, open_threads, WORKERS, 4)
    if not chosen.sleeping:
        one, two = (measure_shipped(registry, workers, chosen.images) for workers in (1, 2))
        print(
            f"shipped model, one thread each: one worker {one:.1f} s, two {two:.1f} s:"
            f" {one / two:.2f} times"
        )


if __name__ == "__main__":
    main()
