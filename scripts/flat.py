"""The front process stays as small as it is: memory and descriptors over many pictures, deaths of
workers and cancellations.

    python -m scripts.flat [PICTURES] [DEATHS] [CANCELLATIONS] [WARM]

The first WARM pictures are not measured: a session remembers a thousand.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError
from dream.engine.interface import Progress
from dream.worker import WorkerEngine
from dream.worker import start_worker as start
from tests.fakes import FakeEngine, fake_session
from tests.recipes import recipe
from tests.worker.fake_host import START


@dataclass(frozen=True)
class Size:
    """Of this process."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Size:
        """After garbage is gone."""
        gc.collect()
        me = psutil.Process()
        return cls(me.memory_info().rss, me.num_fds(), threading.active_count())


def growth(work: Callable[[int], None], count: int, warm: int) -> str:
    """What this process gains over so many rounds, behind the first few."""
    for number in range(warm):
        work(number)
    before = Size.now()
    for number in range(warm, warm + count):
        work(number)
    after = Size.now()
    assert after.descriptors <= before.descriptors, (before, after)
    assert after.threads <= before.threads, (before, after)
    grown = after.memory - before.memory
    assert grown < 2_000_000 + 1_000 * count, (before, after)
    return f"{grown / 1e6:+.1f} MB, {after.descriptors - before.descriptors:+} descriptors"


def main(
    pictures: int = 10_000, deaths: int = 200, cancellations: int = 2_000, warm: int = 1_100
) -> None:
    """Measure, and print what was found. AssertionError says what grows."""
    os.fsync = lambda file: None  # not what is measured
    start.START = START
    with tempfile.TemporaryDirectory() as folder:
        engine = FakeEngine()
        session = fake_session(Path(folder), engine)

        def picture(number: int) -> None:
            # A folder of its own for every hundred: a folder with ten thousand takes its time.
            for _ in session.make(f"a circle -s1 -S{number} -o {folder}/{number // 100}"):
                pass
            engine.rendered.clear()  # which the fake remembers for the tests

        print(f"{pictures} pictures: {growth(picture, pictures, warm)}", flush=True)
    client = WorkerEngine(ModelRegistry([Path()]))

    def death(number: int) -> None:
        with suppress(DreamError):
            for _ in client.render(recipe(prompt="die")):
                pass

    def cancel(number: int) -> None:
        running = client.render(recipe(prompt="wait"))
        next(event for event in running if isinstance(event, Progress))
        running.close()

    print(f"{deaths} deaths: {growth(death, -(-deaths // 3), min(3, warm // 20))}", flush=True)
    print(
        f"{cancellations} cancellations: {growth(cancel, cancellations, min(20, warm))}", flush=True
    )
    client.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
