"""A Ray cluster of two nodes on this machine, to kill: its actors, or a node."""

from __future__ import annotations

from typing import Any

import psutil

from dream.cluster.ray_connection import ATTEMPTS, import_ray

ACTOR = "ray::NodeWorker"
"""How the process of an actor is named."""


class RayNodes:
    """Started by this process, and joined by the programs that are given the address."""

    def __init__(self) -> None:
        import_ray(loopback=True)  # its token is in the environment of those programs
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args={"include_dashboard": False}
        )
        self._node: Any = self._cluster.add_node()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return str(self._cluster.address)

    def kill_node(self) -> None:
        """Kill all processes of the node that is not the head, and start another."""
        self._cluster.remove_node(self._node, allow_graceful=False)
        for attempt in range(ATTEMPTS):
            try:
                self._node = self._cluster.add_node()
                return
            except Exception:  # Ray gives up after half a minute when the machine is busy
                if attempt == ATTEMPTS - 1:
                    raise

    def close(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()


def list_actors(root: int) -> list[psutil.Process]:
    """The actors of dream below a process: Ray's of a program, or of this one."""
    below = psutil.Process(root).children(recursive=True)
    return [process for process in below if is_actor(process)]


def is_actor(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(ACTOR)
    except psutil.NoSuchProcess:
        return False
