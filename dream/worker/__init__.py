"""The engine in a process of its own, so that the prompt's process stays light and survives
whatever happens to torch."""

from dream.worker.client import WorkerEngine, open_engine
from dream.worker.inprocess import InProcessEngine

__all__ = ["InProcessEngine", "WorkerEngine", "open_engine"]
