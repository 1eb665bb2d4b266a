"""The engine in a process of its own: importing torch, loading and painting go on there, and the
process with the prompt stays light, quick and alive whatever happens."""

from dream.worker.client import WorkerEngine, open_engine
from dream.worker.inprocess import InProcessEngine

__all__ = ["InProcessEngine", "WorkerEngine", "open_engine"]
