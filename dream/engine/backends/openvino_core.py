"""The package openvino, without its telemetry: compiles converted networks. Imports no torch.

The package's own converter is not used: it comes with telemetry, which is switched on by importing
it. Its front end, which does the work, is called directly; see `openvino_runtime`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

_REPORTS_USE = ("openvino_telemetry", "openvino.tools.ovc")
"""Modules that `import openvino` imports where they exist, and that report its use to Google."""

Shapes = Sequence[Sequence[int]]
"""Of a network's inputs."""


@contextmanager
def without_telemetry() -> Iterator[None]:
    """While openvino, or a part of it, is imported."""
    before = {name: sys.modules.get(name) for name in _REPORTS_USE}
    sys.modules.update(dict.fromkeys(_REPORTS_USE))  # type: ignore[arg-type]  # None: not found
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]


_IMPORTING = Lock()
"""Held while it is imported: `without_telemetry` is for one thread at a time."""


@cache
def import_openvino() -> Any:
    """The package."""
    with _IMPORTING, without_telemetry():
        import openvino
    return openvino


def get_version() -> str:
    """The version of the package, as 2026.4.1."""
    version: str = import_openvino().__version__
    return version.partition("-")[0]


def compile_network(xml: Path, shapes: Shapes | None, precision: str, threads: int) -> Any:
    """A network that is ready to run. shapes: None for variable sizes, which OpenVINO optimises
    less. precision: of the arithmetic, as OpenVINO calls it: "f32". Raises any exception for a file
    that is damaged."""
    model = _core().read_model(str(xml))
    if shapes is not None:
        model.reshape(dict(zip(model.inputs, map(list, shapes), strict=True)))
    return _core().compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "EXECUTION_MODE_HINT": "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # other programs use the processor, too
        },
    )


@cache
def _core() -> Any:
    return import_openvino().Core()
