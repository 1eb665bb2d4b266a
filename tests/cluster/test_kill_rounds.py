"""A planned batch over real actors that are killed at random, by a program that ends at random and
resumes it: each image exactly once, in order, as one worker would log it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dream.catalogue import ModelRegistry
from dream.core.events import Failed, Rejected, Saved
from dream.core.request import Request
from dream.engine.interface import DeviceConfig, Engine
from dream.session import Session
from dream.session.batch_plan import list_plans
from dream.session.run_plan import resume_batch, run_batch
from dream.worker.pool import WorkerPool
from tests.fakes import FakeEngine
from tests.gallery.checks import sound
from tests.session.test_batch_plan import numbered, unnumbered, without_folder
from tests.session.test_side_by_side import logged

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ROUNDS, WORKERS = 3, 2
LINES = [
    *(f"a cat -S{seed}" for seed in range(1, 9)),
    "a dog -n3 -S20",
    "a cat on -I -1 -f0.5 -S30",
    *(f"a bird -S{seed}" for seed in range(40, 46)),
]


def open_session(engine: Engine, registry: ModelRegistry, folder: Path) -> Session:
    base = Request(outdir=str(folder / "outputs"), width=64, height=64, steps=4)
    return Session(engine, registry, base, rng=random.Random(0))


def open_actors(registry: ModelRegistry) -> WorkerPool:
    from dream.cluster.ray_pool import RayCluster
    from tests.cluster.fake_nodes import FakeNodeWorker

    cluster = RayCluster(
        registry, DeviceConfig(), "", WORKERS, same_hardware=False, actor_class=FakeNodeWorker
    )
    return WorkerPool(cluster.open_workers())


def kill_one(ray: Any, pool: WorkerPool, dice: random.Random) -> int:
    """Kill an actor as a machine that runs out of memory would; how many were."""
    worker: Any = dice.choice([*pool._workers.values()])
    with suppress(Exception):  # it is dead already
        found = ray.get(worker._actor.describe.remote(), timeout=10)
        os.kill(found["pid"], signal.SIGKILL)
        return 1
    return 0


def run_round(
    session: Session, ends_at: int, kills_at: Sequence[int], kill: Callable[[], None]
) -> None:
    """Run a batch that ends before its last image, as after SIGKILL, and resume it; kill an actor
    after each of these images."""
    events, saved = run_batch(session, numbered(LINES), "lines.txt"), 0
    while True:
        for event in events:
            assert not isinstance(event, Failed | Rejected), event
            if isinstance(event, Saved):
                saved += 1
                if saved in kills_at:
                    kill()
                if saved == ends_at:
                    events.close()
        if not (plans := list_plans(session.outdir)):
            return
        events = resume_batch(session, plans[0])


def test_nothing_is_lost_and_nothing_twice(
    ray: Any, registry: ModelRegistry, tmp_path: Path
) -> None:
    session = open_session(FakeEngine(), registry, tmp_path / "one")
    [*session.make_all(numbered(LINES))]
    alone = [*map(unnumbered, without_folder(logged(tmp_path / "one"), tmp_path / "one"))]
    dice, pool, killed = random.Random(24), open_actors(registry), 0

    def kill() -> None:
        nonlocal killed
        killed += kill_one(ray, pool, dice)

    try:
        for number in range(ROUNDS):
            folder = tmp_path / f"round{number}"
            ends_at = dice.randint(1, len(alone) - 1)
            kills_at = dice.sample(range(1, len(alone)), 2)
            run_round(open_session(pool, registry, folder), ends_at, kills_at, kill)
            log = without_folder(logged(folder), folder)
            assert [*map(unnumbered, log)] == alone
            names = [line.partition(".")[0] for line in log]
            assert names == sorted(names), "numbers are in the lines' order"
            sound(folder / "outputs")
    finally:
        pool.close()
    assert killed >= ROUNDS
