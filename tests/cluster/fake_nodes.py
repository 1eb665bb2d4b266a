"""Ray actors whose worker is a thread over the fake engine: everything of `--workers ray` but
torch. Imports ray, so it is imported after `import_ray`."""

from __future__ import annotations

import time

from dream.cluster.node_worker import NodeWorker
from dream.worker.pool_worker import PoolWorker
from tests.fake_workers import FakeWorker
from tests.fakes import FakeEngine

STEP_SECONDS = 0.02


class FakeNodeWorker(NodeWorker):
    """An actor without a model."""

    def make_worker(self, name: str) -> PoolWorker:
        """Its steps take long enough to be killed in."""
        engine = FakeEngine(on_step=lambda progress: time.sleep(STEP_SECONDS))
        return FakeWorker(name, self.report, engine)
