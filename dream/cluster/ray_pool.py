"""The workers of a Ray cluster: where they run, and which join and leave."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dream
from dream.catalogue import ModelRegistry
from dream.cluster.node_messages import NodeDescription
from dream.cluster.ray_connection import connect, import_ray
from dream.cluster.required_files import ExpectedFiles
from dream.core.errors import BadSetting
from dream.engine.interface import DeviceConfig
from dream.worker.channel import serialize
from dream.worker.pool import WorkerPool
from dream.worker.pool_worker import WorkerFactory

if TYPE_CHECKING:
    from dream.cluster.node_worker import NodeWorker

START_TIMEOUT = 120.0
"""Seconds in which an actor has to be ready."""
_POLL_INTERVAL = 5.0
"""Seconds after which nodes that joined are looked for."""


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
            name = f"{node['NodeManagerAddress']} {'gpu' if gpu else 'cpu'} {number}"
            while name in names:
                name += "'"
            names.add(name)
            seats.append(Seat(node["NodeID"], name, gpu, threads))
    return seats


class RayPool(WorkerPool):
    """The engine over a cluster. Nodes that join get workers while it runs."""

    def __init__(
        self,
        registry: ModelRegistry,
        machine: DeviceConfig,
        address: str = "",
        count: int | None = None,
        *,
        same_hardware: bool = False,
    ) -> None:
        """See `dream.cluster.open_ray_pool`."""
        self._cluster = RayCluster(registry, machine, address, count, same_hardware)
        try:
            super().__init__(self._cluster.open_workers())
        except BaseException:
            self._cluster.close()
            raise
        self._cluster.watch(self.add_worker)

    @property
    def threads(self) -> int | None:
        """The threads of each worker on a CPU, where several share one: the fewest, so that all
        render the same bits. None for one on each machine."""
        return self._cluster.threads

    def close(self) -> None:
        """End all workers, and the cluster if it was started for them."""
        super().close()
        self._cluster.close()


class RayCluster:
    """A connection to Ray, and the workers that were made through it."""

    def __init__(
        self,
        registry: ModelRegistry,
        machine: DeviceConfig,
        address: str,
        count: int | None,
        same_hardware: bool,
        actor_class: type[NodeWorker] | None = None,
    ) -> None:
        """See `dream.cluster.open_ray_pool`. `actor_class` is what runs on the nodes."""
        self._ray = import_ray(loopback=not address)
        self._actor_class = actor_class
        self._registry, self._machine, self._count = registry, machine, count
        self._same_hardware = same_hardware
        self._kind = ""
        self._expected = ExpectedFiles(registry)
        self._seats: dict[str, Seat] = {}  # by name, of the workers that were made
        self._known_nodes: set[str] = set()
        self._closed = threading.Event()
        self._is_ours = connect(self._ray, address)
        self._here = self._ray.get_runtime_context().get_node_id()

    @property
    def threads(self) -> int | None:
        """See `RayPool.threads`."""
        return min((seat.threads for seat in self._seats.values() if seat.threads), default=None)

    def open_workers(self) -> list[WorkerFactory]:
        """Workers on the nodes there are, when they are ready. Raises BadSetting where there is
        none."""
        ready, notes = self._start(plan_seats(self._read_nodes(), self._count))
        if not ready:
            raise BadSetting(notes[0] if notes else "the Ray cluster has no node for a worker")
        return [self._make_factory(*one, notes if n == 0 else ()) for n, one in enumerate(ready)]

    def watch(self, on_join: Callable[[WorkerFactory], None]) -> None:
        """Call with each worker on a node that joins later."""
        thread = threading.Thread(target=self._watch, args=(on_join,), name="ray", daemon=True)
        thread.start()

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        self._closed.set()
        if self._is_ours:
            with suppress(Exception):
                self._ray.shutdown()

    def _watch(self, on_join: Callable[[WorkerFactory], None]) -> None:
        while not self._closed.wait(_POLL_INTERVAL):
            with suppress(Exception):  # the connection is lost, which each worker reports
                for factory in self._find_joined():
                    on_join(factory)

    def _find_joined(self) -> list[WorkerFactory]:
        known = {*self._known_nodes}
        nodes = self._read_nodes()
        joined = [node for node in nodes if node["NodeID"] not in known]
        alive = {node["NodeID"] for node in nodes}
        self._seats = {name: seat for name, seat in self._seats.items() if seat.node in alive}
        missing = None if self._count is None else self._count - len(self._seats)
        if not joined or missing == 0:
            return []
        ready, notes = self._start(plan_seats(joined, missing, self._seats))
        return [self._make_factory(*one, notes if n == 0 else ()) for n, one in enumerate(ready)]

    def _read_nodes(self) -> list[Mapping[str, Any]]:
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self._known_nodes |= {node["NodeID"] for node in nodes}
        return nodes

    # ── actors ─────────────────────────────────────────────────────────────────────────────────

    def _start(self, seats: Iterable[Seat]) -> tuple[list[tuple[Seat, Any]], list[str]]:
        """The seats with actors that are ready, and why others are not used."""
        made = [(seat, self._make_actor(seat)) for seat in seats]
        ready: list[tuple[Seat, Any, str]] = []
        notes: list[str] = []
        for seat, actor in made:
            try:
                ready.append((seat, actor, self._check(seat, actor)))
            except Exception as error:
                notes.append(self._drop(seat, actor, error))
        if self._same_hardware and ready and not self._kind:
            self._kind = Counter(kind for *_, kind in ready).most_common(1)[0][0]
        used = []
        for seat, actor, kind in ready:
            if self._same_hardware and kind != self._kind:
                other = f"it has {kind}, not {self._kind}"
                notes.append(self._drop(seat, actor, BadSetting(f"--same_hardware: {other}")))
            else:
                used.append((seat, actor))
                self._seats[seat.name] = seat
        return used, notes

    def _make_actor(self, seat: Seat) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from dream.cluster.node_worker import CONCURRENCY_GROUPS, NodeWorker

        remote = self._ray.remote(
            num_cpus=0,
            num_gpus=int(seat.gpu),
            max_restarts=0,
            max_task_retries=0,  # a retry of Ray's would go on in the middle of another stream
            concurrency_groups=CONCURRENCY_GROUPS,
            scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=False),
        )(self._actor_class or NodeWorker)
        return remote.remote(seat.name, serialize(self._machine), serialize(self._registry))

    def _check(self, seat: Seat, actor: Any) -> str:
        """Wait for an actor; what hardware and software it has. Raises BadSetting for another
        version of dream, and Ray's errors."""
        found = self._ray.get(actor.describe.remote(), timeout=START_TIMEOUT)
        described = NodeDescription(**found)
        if (theirs := dict(described.versions)["dream"]) != dream.__version__:
            ours = f"here it is {dream.__version__}"
            raise BadSetting(f"it has dream {theirs}, {ours}; install the same on all machines")
        return described.kind

    def _replace_actor(self, seat: Seat) -> Any:
        """Another actor for a seat, when it is ready. Raises what `_check` raises."""
        actor = self._make_actor(seat)
        try:
            self._check(seat, actor)
        except BaseException as error:
            self._drop(seat, actor, error)
            raise
        return actor

    def _drop(self, seat: Seat, actor: Any, error: BaseException) -> str:
        from dream.cluster.ray_worker import to_reason

        with suppress(Exception):
            self._ray.kill(actor)
        return f"{seat.name} is not used: {to_reason(error)}"

    def _make_factory(self, seat: Seat, actor: Any, notes: Iterable[str] = ()) -> WorkerFactory:
        from dream.cluster.ray_worker import NodePlace, RayWorker

        place = NodePlace(seat.name, seat.node == self._here)
        replace_actor = partial(self._replace_actor, seat)
        return partial(RayWorker, place, actor, replace_actor, self._expected, notes)
