"""The workers of a Ray cluster: where they run, and which join and leave."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import dream
from dream.catalogue import ModelRegistry
from dream.cluster.file_hashes import ExpectedFiles
from dream.cluster.node_messages import NodeDescription
from dream.cluster.ray_connection import connect, import_ray
from dream.cluster.seats import Seat, choose_kind, plan_seats
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

Node = Mapping[str, Any]
"""As `ray.nodes()` describes it."""


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
        for note in self._cluster.read_notes():
            self.add_note(note)
        self._cluster.watch(self)

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
        self._notes: list[str] = []
        self._names: set[str] = set()  # of all workers, also of those that were lost
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
        ready = self._start(self._read_nodes(), self._count)
        if not ready:
            notes = self.read_notes()
            raise BadSetting(notes[0] if notes else "the Ray cluster has no node for a worker")
        return ready

    def read_notes(self) -> list[str]:
        """New notes about nodes and workers that are not used. Safe to call from any thread."""
        notes, self._notes = self._notes, []
        return notes

    def watch(self, pool: WorkerPool) -> None:
        """Add a worker for each node that joins later, and notes about those that are not used."""
        thread = threading.Thread(target=self._watch, args=(pool,), name="ray", daemon=True)
        thread.start()

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        self._closed.set()
        if self._is_ours:
            with suppress(Exception):
                self._ray.shutdown()

    def _watch(self, pool: WorkerPool) -> None:
        while not self._closed.wait(_POLL_INTERVAL):
            with suppress(Exception):  # the connection is lost, which each worker reports
                for factory in self._find_joined():
                    pool.add_worker(factory)
            for note in self.read_notes():
                pool.add_note(note)

    def _find_joined(self) -> list[WorkerFactory]:
        known = {*self._known_nodes}
        nodes = self._read_nodes()
        joined = [node for node in nodes if node["NodeID"] not in known]
        alive = {node["NodeID"] for node in nodes}
        self._seats = {name: seat for name, seat in self._seats.items() if seat.node in alive}
        missing = None if self._count is None else self._count - len(self._seats)
        if not joined or missing == 0:
            return []
        return self._start(joined, missing)

    def _read_nodes(self) -> list[Node]:
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self._known_nodes |= {node["NodeID"] for node in nodes}
        return sorted(nodes, key=lambda node: node["NodeID"] != self._here)

    # ── actors ─────────────────────────────────────────────────────────────────────────────────

    def _start(self, nodes: Iterable[Node], count: int | None) -> list[WorkerFactory]:
        """Workers on nodes, so many at most, when they are ready."""
        if self._same_hardware:
            nodes = self._keep_same(nodes)
        made = [(seat, self._make_actor(seat)) for seat in plan_seats(nodes, count, self._names)]
        ready = []
        for seat, actor in made:
            try:
                self._refuse_other(self._check(actor))
            except Exception as error:
                self._drop(seat.name, actor, error)
            else:
                self._seats[seat.name] = seat
                self._names.add(seat.name)
                ready.append(self._make_factory(seat, actor))
        return ready

    def _keep_same(self, nodes: Iterable[Node]) -> list[Node]:
        """The nodes of one kind, which an actor on each of them describes; of the kind of the
        first workers, where there are some already."""
        seats = [(node, plan_seats([node])) for node in nodes]
        made = [(node, of, self._make_actor(of[0])) for node, of in seats if of]
        found: list[tuple[Node, int, NodeDescription, Any]] = []
        for node, of, actor in made:
            try:
                found.append((node, len(of), self._check(actor), actor))
            except Exception as error:
                self._drop(node["NodeManagerAddress"], actor, error)
        if found and not self._kind:
            self._kind = choose_kind((described, count) for _, count, described, _ in found)
        same = []
        for node, _, described, actor in found:
            try:
                self._refuse_other(described)
            except BadSetting as error:
                self._drop(node["NodeManagerAddress"], actor, error)
            else:
                same.append(node)
                with suppress(Exception):
                    self._ray.kill(actor)
        return same

    def _refuse_other(self, described: NodeDescription) -> None:
        """Raises BadSetting for hardware that --same_hardware excludes."""
        if self._kind and described.kind != self._kind:
            raise BadSetting(f"--same_hardware: it has {described.kind}, not {self._kind}")

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

    def _check(self, actor: Any) -> NodeDescription:
        """Wait for an actor; what hardware and software it has. Raises BadSetting for another
        version of dream, and Ray's errors."""
        found = self._ray.get(actor.describe.remote(), timeout=START_TIMEOUT)
        if (theirs := dict(found["versions"])["dream"]) != dream.__version__:
            ours = f"here it is {dream.__version__}"
            raise BadSetting(f"it has dream {theirs}, {ours}; install the same on all machines")
        return NodeDescription(**found)

    def _replace_actor(self, seat: Seat) -> Any:
        """Another actor for a seat, when it is ready. Raises what `_check` raises."""
        actor = self._make_actor(seat)
        try:
            self._refuse_other(self._check(actor))
        except BaseException:
            with suppress(Exception):
                self._ray.kill(actor)
            raise
        return actor

    def _drop(self, name: str, actor: Any, error: BaseException) -> None:
        """Do not use an actor, and note why."""
        from dream.cluster.ray_worker import to_reason

        with suppress(Exception):
            self._ray.kill(actor)
        self._notes.append(f"{name} is not used: {to_reason(error)}")

    def _make_factory(self, seat: Seat, actor: Any) -> WorkerFactory:
        from dream.cluster.ray_worker import NodePlace, RayWorker

        place = NodePlace(seat.name, seat.node == self._here)
        return partial(RayWorker, place, actor, partial(self._replace_actor, seat), self._expected)
