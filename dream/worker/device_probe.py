"""Checks this machine for `--doctor`: does everything import, and on which device would a model
run?

`probe_device` checks in a process of its own, so that the caller loads no torch, and survives a
library that crashes.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import dream
from dream.core.errors import DreamError
from dream.engine.import_errors import raise_setup_errors
from dream.worker.crash import to_dream_error

PROBE_TIMEOUT = 300.0
"""Seconds. Importing torch from a cold and slow disk takes minutes."""

SMALL, LARGE = 10_000_000, 860_000_000
"""Parameters, of a model as small as the shipped one, and of Stable Diffusion 1.5."""

_START = (
    "import sys; sys.path.append(sys.argv[1]); from dream.worker.device_probe import main; main()"
)


@dataclass(frozen=True, kw_only=True)
class DeviceReport:
    """The result. Empty where there is nothing to report."""

    device: str = ""
    small: str = ""
    """The dtype for small models and the reason; `large`: for large ones."""
    large: str = ""
    memory: tuple[int, int] | None = None
    """Free and total bytes of the GPU, where it has memory of its own."""
    broken: tuple[str, ...] = ()
    """What does not work, and what to do about it; one line each."""


def probe_device(device: str, precision: str) -> DeviceReport:
    """Check in a process of its own. Never raises for what it finds."""
    root = str(Path(dream.__file__).resolve().parents[1])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-c", _START, root, device, precision],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return DeviceReport(
            broken=(f"torch did not load within {PROBE_TIMEOUT:.0f} s: check the disk",)
        )
    last = (done.stdout.splitlines() or [""])[-1]
    try:
        report = json.loads(last)
    except ValueError:
        last_line = (done.stderr.strip().splitlines() or ["no output"])[-1]
        failure = f"importing torch crashed (exit status {done.returncode}): {last_line}"
        return DeviceReport(broken=(f"{failure}; reinstall torch and torchvision together",))
    return DeviceReport(**report | {"broken": tuple(report["broken"])})


def main() -> None:
    """The other process: check, and print the result as one line of JSON."""
    print(json.dumps(asdict(inspect_here(*sys.argv[2:4]))))  # noqa: T201 - to the process that asked


def inspect_here(device: str, precision: str) -> DeviceReport:
    """Check in this process."""
    broken = []
    for module in (
        "torch",
        "torchvision",
        "diffusers",
        "transformers",
        "dream.postprocess.basicsr_compat",
    ):
        try:
            with raise_setup_errors():
                importlib.import_module(module)
        except Exception as error:
            broken.append(str(to_dream_error(error)))
    if "torch" in sys.modules:
        try:
            placed = _choose_placements(device, precision)
            return replace(placed, broken=_distinct([*broken, *placed.broken]))
        except DreamError as error:
            broken.append(str(error))
    return DeviceReport(broken=_distinct(broken))


def _distinct(lines: list[str]) -> tuple[str, ...]:
    """One cause often breaks several imports."""
    return tuple(dict.fromkeys(lines))


def _choose_placements(device: str, precision: str) -> DeviceReport:
    from dream.engine.memory.device import choose_placement, measure_gpu_memory

    small, large = (
        choose_placement(device, precision, parameters) for parameters in (SMALL, LARGE)
    )
    return DeviceReport(
        device=small.device,
        small=small.reason,
        large=large.reason,
        memory=measure_gpu_memory(small.device),
        broken=(small.advice,) if small.advice else (),
    )
