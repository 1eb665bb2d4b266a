"""--workers: what it reads, and which workers this machine gets."""

from __future__ import annotations

import pytest

from dream.catalogue import ModelRegistry
from dream.core.errors import BadSetting
from dream.engine.interface import DeviceConfig
from dream.options.launch_values import WORKERS, WorkersOption
from dream.worker import WorkerEngine, open_pool
from dream.worker.pool import WorkerPool


@pytest.mark.parametrize(
    "text", ["auto", "4", "cuda:0,cuda:2", "cpu:2", "cuda:1,cpu:1", "mps", "ray", "ray:8"]
)
def test_it_is_written_as_it_was_read(text: str) -> None:
    value = WORKERS.read([text])
    assert WORKERS.read(WORKERS.write(value)) == value
    assert WORKERS.write(value) == [text]


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-1", "1000", "cuda", "cuda:0,cuda:0", "cpu:0", "gpu", "cpu:999", "ray: x"),
        *("ray:0", "ray:-1", "ray:999", "ray:1000000", "ray:1.5"),
    ],
)
def test_what_it_does_not_take(text: str) -> None:
    with pytest.raises(ValueError):
        WORKERS.read([text])


def test_an_address_of_a_cluster() -> None:
    assert WORKERS.read(["ray:10.0.0.1:6379"]).ray == "10.0.0.1:6379"
    assert WORKERS.read(["ray:8"]) == WorkersOption(8, ray="")


@pytest.mark.parametrize(
    ("text", "gpus", "devices", "threads"),
    [
        ("auto", 0, ("auto",), None),
        ("auto", 4, ("cuda:0", "cuda:1", "cuda:2", "cuda:3"), None),
        ("2", 4, ("cuda:0", "cuda:1"), None),
        ("1", 0, ("auto",), None),
        ("2", 0, ("cpu", "cpu"), 4),
        ("cpu:3", 4, ("cpu", "cpu", "cpu"), 2),
        ("cpu:16", 0, ("cpu",) * 16, 1),
        ("cuda:1,cpu", 2, ("cuda:1", "cpu"), None),
    ],
)
def test_which_workers_a_machine_gets(
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    gpus: int,
    devices: tuple[str, ...],
    threads: int | None,
) -> None:
    monkeypatch.setattr(open_pool, "count_gpus", lambda: gpus)
    monkeypatch.setattr(open_pool, "count_cores", lambda: 8)
    assert open_pool.plan_workers(WORKERS.read([text])) == (devices, threads)


def test_what_contradicts_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_pool, "count_gpus", lambda: 2)
    for text, device in (("3", "auto"), ("2", "cuda:0"), ("cuda:0", "cpu")):
        with pytest.raises(BadSetting):
            open_pool.plan_workers(WORKERS.read([text]), device)
    assert open_pool.plan_workers(WORKERS.read(["2"]), "cpu").devices == ("cpu", "cpu")


def test_one_worker_has_no_pool_and_several_share_the_memory() -> None:
    machine = DeviceConfig(max_memory=8)
    one = open_pool.open_workers(ModelRegistry(()), machine, open_pool.LocalPlan(("cpu",)))
    assert isinstance(one, WorkerEngine) and one._opening.machine.max_memory == 8
    two = open_pool.open_workers(ModelRegistry(()), machine, open_pool.LocalPlan(("cpu",) * 2))
    assert isinstance(two, WorkerPool) and two.count_workers() == 2
    assert [worker.name for worker in two._all_workers] == ["cpu 1", "cpu 2"]
    shares = {worker._engine._opening.machine.max_memory for worker in two._all_workers}  # type: ignore[attr-defined]
    assert shares == {4}
    two.close()
