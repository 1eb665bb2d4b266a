"""Which nodes are used, on a cluster whose nodes say what they are: no Ray, no process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

import dream
from dream.cluster.ray_pool import RayCluster
from dream.core.errors import BadSetting
from tests.cluster.test_seats import node

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


class AnnouncedCluster(RayCluster):
    """A cluster whose nodes have what is announced."""

    def __init__(self, machines: Mapping[str, Any], count: int | None = None) -> None:
        self.machines, self.nodes = dict(machines), [node(name) for name in machines]
        self.killed: list[str] = []
        self._ray = SimpleNamespace(
            nodes=lambda: self.nodes,
            get=lambda found, timeout: self.describe(found),
            kill=self.killed.append,
        )
        self._count, self._same_hardware, self._kind, self._here = count, True, "", "n2"
        self._notes, self._names, self._seats = [], set(), {}
        self._known_nodes, self._closed = set(), threading.Event()
        self._expected: Any = None

    def describe(self, name: str) -> dict[str, Any]:
        if isinstance(self.machines[name], Exception):
            raise self.machines[name]
        return {
            "host": name,
            "pid": 1,
            "processor": self.machines[name],
            "gpu": False,
            "cores": 8,
            "versions": (("dream", dream.__version__),),
        }

    def _make_actor(self, seat: Any) -> Any:
        return SimpleNamespace(describe=SimpleNamespace(remote=lambda: seat.node))

    def used(self) -> list[str]:
        return sorted(seat.node for seat in self._seats.values())


def test_only_nodes_of_one_kind_are_used_and_the_others_are_named() -> None:
    cluster = AnnouncedCluster({"n1": "Xeon", "n2": "EPYC", "n3": "EPYC"})
    assert len(cluster.open_workers()) == 2 and cluster.used() == ["n2", "n3"]
    kind = f"8 cores, dream {dream.__version__}"
    assert cluster.read_notes() == [
        f"10.0.0.1 is not used: --same_hardware: it has Xeon, {kind}, not EPYC, {kind}"
    ]
    assert cluster.read_notes() == [], "told once"


def test_a_number_of_workers_is_reached_on_the_nodes_that_fit() -> None:
    cluster = AnnouncedCluster({"n1": "Xeon", "n2": "EPYC", "n3": "EPYC"}, 4)
    assert len(cluster.open_workers()) == 4 and cluster.used() == ["n2", "n2", "n3", "n3"]


def test_of_two_kinds_this_machine_decides() -> None:
    cluster = AnnouncedCluster({"n1": "Xeon", "n2": "EPYC"})
    cluster.open_workers()
    assert cluster.used() == ["n2"]


def test_a_node_that_joins_has_to_be_of_the_first_kind() -> None:
    cluster = AnnouncedCluster({"n2": "EPYC"})
    cluster.open_workers()
    cluster.machines |= {"n3": "Xeon", "n4": "EPYC"}
    cluster.nodes += [node("n3"), node("n4")]
    assert len(cluster._find_joined()) == 1 and cluster.used() == ["n2", "n4"]
    (note,) = cluster.read_notes()
    assert note.startswith("10.0.0.3 is not used: --same_hardware: it has Xeon")
    cluster.nodes = [{**node("n2"), "Alive": False}, node("n3"), node("n4")]
    assert cluster._find_joined() == [] and cluster.used() == ["n4"]


def test_without_a_node_that_can_be_used_it_is_said_why() -> None:
    cluster = AnnouncedCluster({"n1": ValueError("no space left\nmore")})
    with pytest.raises(BadSetting, match=r"^10\.0\.0\.1 is not used: no space left$"):
        cluster.open_workers()
    with pytest.raises(BadSetting, match="the Ray cluster has no node for a worker"):
        AnnouncedCluster({}).open_workers()
