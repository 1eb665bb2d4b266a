"""Which worker goes where, on nodes as Ray describes them."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import pytest

from dream.cluster import open_ray_pool, ray_connection
from dream.cluster.node_messages import NodeDescription
from dream.cluster.ray_connection import connect
from dream.cluster.seats import Seat, choose_kind, plan_seats
from dream.core.errors import BadSetting
from dream.options.launch_values import WORKERS


def node(name: str, *, cpus: int = 8, gpus: int = 0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": float(cpus), "memory": 1e9} | ({"GPU": float(gpus)} if gpus else {})
    address = f"10.0.0.{name[-1]}"
    return {"NodeID": name, "Alive": alive, "NodeManagerAddress": address, "Resources": resources}


def test_each_gpu_has_a_worker_and_each_node_without_has_one() -> None:
    seats = plan_seats([node("n1", gpus=2), node("n2"), node("n3", alive=False)])
    assert seats == [
        Seat("n1", "10.0.0.1 gpu 0", gpu=True, threads=None),
        Seat("n1", "10.0.0.1 gpu 1", gpu=True, threads=None),
        Seat("n2", "10.0.0.2 cpu 0", gpu=False, threads=None),
    ]


def test_a_number_of_workers_shares_the_processors() -> None:
    seats = plan_seats([node("n1", cpus=9), node("n2", cpus=2)], 5)
    assert [(seat.name, seat.threads) for seat in seats] == [
        ("10.0.0.1 cpu 0", 3),
        ("10.0.0.1 cpu 1", 3),
        ("10.0.0.1 cpu 2", 3),
        ("10.0.0.2 cpu 0", 1),
        ("10.0.0.2 cpu 1", 1),
    ]
    assert [seat.threads for seat in plan_seats([node("n1")], 1)] == [None]


def test_gpus_come_first_and_no_more_than_asked_for() -> None:
    nodes = [node("n1"), node("n2", gpus=4)]
    assert [seat.gpu for seat in plan_seats(nodes, 3)] == [True] * 3
    assert [seat.gpu for seat in plan_seats(nodes, 6)] == [True] * 4 + [False] * 2
    assert plan_seats([node("n1", gpus=1)], 0) == [] == plan_seats([], 4)


def test_names_are_unique() -> None:
    first = plan_seats([node("n1")])
    again = plan_seats([node("m1")], taken=[seat.name for seat in first])
    assert again[0].name == f"{first[0].name} (2)"


def described(processor: str, *, gpu: bool = False, cores: int = 8, torch: str = "2.9") -> Any:
    return NodeDescription("host", 1, processor, gpu, cores, (("dream", "1"), ("torch", torch)))


def test_the_same_hardware_is_that_of_most_seats_and_gpus_come_first() -> None:
    epyc, xeon = described("EPYC"), described("Xeon")
    assert choose_kind([(xeon, 1), (epyc, 1), (epyc, 1)]) == epyc.kind
    assert choose_kind([(xeon, 1), (epyc, 1)]) == xeon.kind, "of equal ones, the first"
    small, large = described("L4", gpu=True), described("H200", gpu=True)
    assert choose_kind([(epyc, 1)] * 5 + [(small, 1), (large, 2)]) == large.kind


def test_what_changes_bits_is_another_kind() -> None:
    here = described("EPYC")
    assert here.kind == "EPYC, 8 cores, dream 1, torch 2.9"
    assert here.kind != described("EPYC", cores=4).kind != described("EPYC", torch="2.8").kind
    gpu = described("L4", gpu=True)
    assert gpu.kind == described("L4", gpu=True, cores=64).kind != described("L4", cores=8).kind


def test_ray_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from dream.catalogue import ModelRegistry
    from dream.core.errors import SetupError
    from dream.engine.interface import DeviceConfig

    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.setenv(name, "")
    with pytest.raises(SetupError, match=r"pip install 'dream-prompt\[ray\]'"):
        open_ray_pool(ModelRegistry([]), DeviceConfig())


@pytest.mark.parametrize("loopback", [True, False])
def test_ray_does_not_end_the_program_when_its_cluster_has_gone(
    loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this, its core ends the process after a minute, whatever it is doing."""
    pytest.importorskip("ray")
    waits = "RAY_gcs_rpc_server_reconnect_timeout_s"
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {})
        ray_connection.import_ray(loopback)
        assert (int(os.environ.get(waits, 60)) > 1e5) is not loopback
        assert ("RAY_AUTH_TOKEN" in os.environ) is loopback


class NotJoined:
    """Ray before it has joined a cluster; with nothing else, so that nothing else is called."""

    @staticmethod
    def is_initialized() -> bool:
        return False


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("ray://head:10001", r"ray:\S+ is not supported \(run dream on a machine of the cluster"),
        ("ray:head", r"ray:head has no port \(use --workers ray:head:6379"),
        ("ray:127.0.0.1:99999", r"ray:127.0.0.1:99999: "),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_what_works(value: str, reason: str) -> None:
    address = WORKERS.read([value]).ray
    assert address is not None
    with pytest.raises(BadSetting, match=reason):
        connect(NotJoined, address)


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BadSetting, match=f"127.0.0.1:{port}: Connection refused"):
        connect(NotJoined, f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"", "timed out"), (b"HTTP/1.1 400 Bad Request", "what answers there is not Ray")],
)
def test_an_address_where_something_else_listens_is_refused_soon(
    answer: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would wait for two minutes."""
    monkeypatch.setattr(ray_connection, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                connection.recv(1 << 10)
                refused.wait(10)

        refused = threading.Event()
        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        with pytest.raises(BadSetting, match=f"127.0.0.1:{port}: {reason}"):
            connect(NotJoined, f"127.0.0.1:{port}")
        refused.set()


def test_rays_log_is_kept_from_the_terminal_and_explains_why_no_cluster_is_joined(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = "[2026-11-29 11:50:54,439 W 29084 29084] gcs_client.cc:210: InvalidAuthToken: missing\n"
    said: list[str] = []
    with ray_connection.capture_ray_log(said):
        os.write(2, f"before\n{log}after\n".encode())
    assert capfd.readouterr().err == "before\nafter\n" and said == [log]
    explain = ray_connection._explain
    assert explain(ConnectionError("Failed to connect\nmore"), [])[0] == "Failed to connect"
    reason, hint = explain(ConnectionError("Failed to connect"), said)
    assert reason == "the cluster has another token" and "~/.ray/auth_token" in hint


def test_the_reason_of_a_loss_is_in_a_few_words() -> None:
    errors = pytest.importorskip("ray").exceptions
    from dream.cluster.ray_worker import to_reason

    gone = errors.ActorUnschedulableError("The node specified via NodeAffinity… soft=False")
    assert to_reason(gone) == "its node left the cluster"
    assert to_reason(errors.GetTimeoutError("…")) == "its actor did not start in time"
    assert to_reason(ValueError("one\ntwo")) == "one"
