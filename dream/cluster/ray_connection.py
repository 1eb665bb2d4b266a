"""Connects to a Ray cluster, or starts one on this machine that nobody else can reach."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dream.core.errors import BadSetting, SetupError, summarize

ATTEMPTS = 3
"""Ray gives up after half a minute when the machine is busy; then it is started again."""
CONNECT_TIMEOUT = 10.0
"""Seconds."""
OBJECT_STORE = 256 << 20
"""Bytes of shared memory for images on the way. They are fetched at once, so few are there."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Below `uv run`, Ray would send the current folder to the nodes and run uv there.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Otherwise a thread that asks Ray something after the end would start another cluster.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it will be by default; without it, a warning
}
_OF_A_CLUSTER = {
    # Seconds. By default Ray's core ends the program a minute after the cluster's first machine has
    # left: the prompt too, in the middle of a line.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "1000000",
}
_LOOPBACK = {
    # Where Ray's processes listen: with this, at 127.0.0.1 only. (Ray sets it on systems where
    # a firewall would ask.) Without it, on Linux, at all addresses.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",  # as workers without Ray; by default Ray's give way to all others
}

_PATIENT = {
    # On a busy machine, processes answer late; by default Ray takes them for dead after 10 s, and
    # ends what it has started after 15 s.
    "RAY_health_check_timeout_ms": "60000",
    "RAY_agent_register_timeout_ms": "120000",
}
"""For the cluster of one machine."""


def import_ray(loopback: bool) -> Any:
    """The module, without usage statistics. Raises SetupError where it is not installed."""
    os.environ.update(_QUIET)
    if not loopback:
        for name, value in _OF_A_CLUSTER.items():
            os.environ.setdefault(name, value)
    else:
        os.environ.update(_LOOPBACK)
        for name, value in _PATIENT.items():
            os.environ.setdefault(name, value)
        # For this process only; otherwise Ray writes one into the home folder. Ray reads it once:
        # another one later would not be that of its own client.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise SetupError(
            "--workers ray needs Ray, which is not installed",
            "pip install 'dream-prompt[ray]', or --workers N for workers on this machine",
        ) from error
    return ray


def connect(ray: Any, address: str) -> bool:
    """Join the cluster at an address ("auto" finds the one of this machine), or start one here.
    False if this process had joined one before. Raises BadSetting where there is none, SetupError
    where none can be started."""
    if ray.is_initialized():
        return False
    _silence_raylet()
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    _check_address(address)
    common = {"log_to_driver": False, "logging_level": "critical", "configure_logging": False}
    if address:
        said: list[str] = []
        try:
            with _without_warnings(), capture_ray_log(said):
                ray.init(address=address, namespace="dream", **common)
        except Exception as error:
            reason, hint = _explain(error, said)
            raise BadSetting(f"--workers ray:{address}: {reason}", hint) from error
        return True
    for attempt in range(ATTEMPTS):
        try:
            with _without_warnings(), capture_ray_log([]):
                ray.init(
                    address="local",
                    namespace="dream",
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE,
                    **common,
                )
            return True
        except Exception as error:
            with suppress(Exception):
                ray.shutdown()
            if attempt == ATTEMPTS - 1:
                raise SetupError(
                    f"Ray does not start: {summarize(error)}",
                    "try again, or --workers N for workers on this machine without Ray",
                ) from error
    return True


def _check_address(address: str) -> None:
    """Raises BadSetting for an address of another kind, and where no Ray answers: Ray itself would
    wait for two minutes and print what it does to standard error."""
    if address.startswith("//"):
        raise BadSetting(
            f"--workers ray:{address} is not supported",
            "run dream on a machine of the cluster, with --workers ray:auto",
        )
    if address not in ("", "auto") and ":" not in address:
        raise BadSetting(
            f"--workers ray:{address} has no port", f"use --workers ray:{address}:6379"
        )
    if not (used := _resolve(address)):
        return
    place = f"ray:{address}" if used == address else f"ray:{address} ({used})"
    host, _, port = used.rpartition(":")
    try:
        answers = _speaks_http2(host.strip("[]"), int(port))
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or summarize(error)
        raise BadSetting(
            f"--workers {place}: {reason}",
            "it is the address of ray start --head: HOST:6379 by default",
        ) from error
    if not answers:
        raise BadSetting(
            f"--workers {place}: what answers there is not Ray",
            "it is the address of ray start --head: HOST:6379 by default",
        )


def _resolve(address: str) -> str:
    """The address that Ray will use: the one of this machine's cluster for "auto", and another one
    for 127.0.0.1. Empty where there is none, or Ray does not say."""
    if not address:
        return ""
    with suppress(Exception):
        from ray._private.services import canonicalize_bootstrap_address

        return str(canonicalize_bootstrap_address(address) or "")
    return "" if address == "auto" else address


def _speaks_http2(host: str, port: int) -> bool:
    """Whether a server of gRPC answers, as Ray's does: its first frame is SETTINGS (RFC 9113).
    Raises OSError."""
    with socket.create_connection((host, port), CONNECT_TIMEOUT) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        answer = b""
        while len(answer) < 4 and (part := connection.recv(64)):
            answer += part
    return answer[3:4] == b"\x04"


def _explain(error: Exception, said: Sequence[str]) -> tuple[str, str]:
    """Why a cluster cannot be joined, and what to do."""
    reason = summarize(error)
    if any("InvalidAuthToken" in line for line in [*said, reason]):
        return (
            "the cluster has another token",
            "copy ~/.ray/auth_token from its first machine, and set RAY_AUTH_MODE=token",
        )
    if "Could not find any running Ray instance" in reason:
        reason = "no Ray cluster runs on this machine"
    return reason, "start Ray on this machine too: ray start --address=HOST:PORT"


_LOG_LINE = re.compile(rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [DIWE] \d+ \d+\] ")


@contextmanager
def capture_ray_log(said: list[str]) -> Iterator[None]:
    """Keep what Ray's core writes to standard error, which no setting silences, from the terminal;
    other lines are written there afterwards."""
    try:
        terminal = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            file.seek(0)
            for line in file:
                if _LOG_LINE.match(line):
                    said.append(line.decode(errors="replace"))
                else:
                    os.write(2, line)


def _silence_raylet() -> None:
    """Ray's own process prints about workers that ended to standard output, whatever the logging
    is set to: between paths and JSON. The pool tells about them."""
    with suppress(ImportError, AttributeError):
        from ray._private import worker

        worker.print_to_stdstream = lambda data, ignore_prefix: None


@contextmanager
def _without_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
