"""Ray actors that sleep for each step: those of `--workers ray`, whose worker is another."""

from __future__ import annotations

from benchmarks.sleeping_workers import SleepingWorker
from dream.cluster.node_worker import NodeWorker
from dream.worker.pool_worker import PoolWorker


class SleepingNodeWorker(NodeWorker):
    """Everything is the actor's of `--workers ray` but the process with torch."""

    def make_worker(self, name: str) -> PoolWorker:
        return SleepingWorker(name, self.report)
