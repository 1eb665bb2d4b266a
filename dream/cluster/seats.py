"""Which worker goes where in a cluster, and which machines render the same bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dream.cluster.node_messages import NodeDescription


@dataclass(frozen=True)
class Seat:
    """Where a worker will run."""

    node: str
    """Ray's id of the node."""
    name: str
    gpu: bool
    threads: int | None
    """Its share of the node's CPUs; None where it has all."""


def plan_seats(
    nodes: Iterable[Mapping[str, Any]], count: int | None = None, taken: Iterable[str] = ()
) -> list[Seat]:
    """The seats on nodes as `ray.nodes()` describes them: one for each GPU, and on nodes without,
    one each, or as many as are left of `count`, which share the node's CPUs. Names are unlike those
    `taken`."""
    alive = [node for node in nodes if node.get("Alive")]
    gpus = {node["NodeID"]: int(node["Resources"].get("GPU", 0)) for node in alive}
    on_gpus = [(node, n, None) for node in alive for n in range(gpus[node["NodeID"]])]
    if count is not None:
        on_gpus = on_gpus[:count]
    without = [node for node in alive if not gpus[node["NodeID"]]]
    left = len(without) if count is None else count - len(on_gpus)
    on_cpus = []
    for index, node in enumerate(without):
        share = left // len(without) + (index < left % len(without))
        cpus = int(node["Resources"].get("CPU", 1))
        threads = None if share < 2 else max(1, cpus // share)
        on_cpus += [(node, number, threads) for number in range(share)]
    seats: list[Seat] = []
    names = set(taken)
    for gpu, rows in ((True, on_gpus), (False, on_cpus)):
        for node, number, threads in rows:
            plain = name = f"{node['NodeManagerAddress']} {'gpu' if gpu else 'cpu'} {number}"
            repeats = 1
            while name in names:
                repeats += 1
                name = f"{plain} ({repeats})"
            names.add(name)
            seats.append(Seat(node["NodeID"], name, gpu, threads))
    return seats


def choose_kind(found: Iterable[tuple[NodeDescription, int]]) -> str:
    """The `kind` that --same_hardware keeps to, of nodes with so many seats each: the one with the
    most seats, GPUs before processors; of equal ones, the first."""
    seats: Counter[tuple[bool, str]] = Counter()
    for node, count in found:
        seats[node.gpu, node.kind] += count
    return max(seats, key=lambda key: (key[0], seats[key]))[1]
