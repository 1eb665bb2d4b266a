"""Decides which workers this machine gets, and makes them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dream.catalogue import ModelRegistry
from dream.core.errors import BadSetting
from dream.engine.interface import DeviceConfig, Engine
from dream.options.launch_values import WorkersOption
from dream.worker.client import WorkerEngine
from dream.worker.local_worker import LocalWorker
from dream.worker.pool import WorkerPool
from dream.worker.pool_worker import WorkerFactory

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_PROBE_TIMEOUT = 120.0
"""Seconds; importing torch from a cold disk takes long."""


class LocalPlan(NamedTuple):
    """The workers of this machine."""

    devices: tuple[str, ...]
    threads: int | None = None
    """Threads of each worker on the processor, where several share it."""


def plan_workers(option: WorkersOption, device: str = "auto") -> LocalPlan:
    """The device of each worker. `device` is the value of --device. Raises BadSetting where the two
    contradict."""
    devices = option.devices or _choose_devices(option.number, device)
    if device != "auto" and option.devices and any(one != device for one in option.devices):
        raise BadSetting(f"--device {device} cannot be combined with --workers {option}")
    on_cpu = devices.count("cpu")
    return LocalPlan(devices, max(1, count_cores() // on_cpu) if on_cpu > 1 else None)


def open_workers(registry: ModelRegistry, machine: DeviceConfig, plan: LocalPlan) -> Engine:
    """An engine with these workers; for a single one, the engine that has no pool."""
    machine = replace(machine, max_memory=_share(machine.max_memory, len(plan.devices)))
    if len(plan.devices) == 1:
        return WorkerEngine(registry, replace(machine, device=plan.devices[0]))
    return WorkerPool(list_factories(registry, machine, plan.devices))


def list_factories(
    registry: ModelRegistry, machine: DeviceConfig, devices: Sequence[str]
) -> list[WorkerFactory]:
    """What makes a worker for each of the devices."""
    factories: list[WorkerFactory] = []
    for number, device in enumerate(devices, 1):
        name = device if devices.count(device) == 1 else f"{device} {number}"
        factories.append(partial(LocalWorker, name, registry, replace(machine, device=device)))
    return factories


def count_cores() -> int:
    """The processors that this process may use."""
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_gpus() -> int:
    """The NVIDIA GPUs that torch can use; without its driver, torch is not asked."""
    if not _NVIDIA_DRIVER.exists() and sys.platform == "linux":
        return 0
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        counted = subprocess.run(
            [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT,
        )
        return int(counted.stdout.split()[-1]) if counted.stdout.split() else 0
    return 0


def _choose_devices(count: int | None, device: str) -> tuple[str, ...]:
    """The GPUs, or else the processor; without a number, each GPU, or the one device."""
    if device == "auto":
        gpus = tuple(f"cuda:{number}" for number in range(count_gpus()))
        if gpus and count is not None and count > len(gpus):
            raise BadSetting(
                f"--workers {count}: this machine has {len(gpus)} GPUs that torch can use",
                "--workers auto uses each of them",
            )
        if gpus:
            return gpus[:count]
        return ("cpu",) * count if count and count > 1 else ("auto",)
    if device != "cpu" and (count or 1) > 1:
        raise BadSetting(
            f"--device {device} is one device, not {count}", "name them: --workers cuda:0,cuda:1"
        )
    return (device,) * (count or 1)


def _share(memory: float | None, workers: int) -> float | None:
    return memory if memory is None else memory / workers
