"""Runs a converted network for the first time in a process of its own: where OpenVINO ends the
process, it is that one, and not the worker with its models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

from dream.engine.backends.converted_networks import ConvertedNetwork, ConvertedNetworks
from dream.engine.backends.openvino_core import Shapes, compile_network, import_openvino

VARIABLE = "variable"
"""In attempts: the network is compiled for variable sizes."""

_ERROR = 1
"""The exit status of an exception in Python: the caller will see the same one."""

_START = (
    "import sys; sys.path.append(sys.argv[1]); from dream.engine.backends.trial import main; main()"
)


def list_attempts(shapes: Shapes) -> list[tuple[object, Shapes | None]]:
    """How a network is compiled for these shapes, the first that works: each attempt's name in the
    records, and the shapes that it is compiled for."""
    return [(shapes, shapes), ((shapes, VARIABLE), None)]


def choose_attempt(
    network: ConvertedNetwork, shapes: Shapes
) -> tuple[object, Shapes | None] | None:
    """The first of them that is not known to end a process; None if there is none."""
    attempts = (one for one in list_attempts(shapes) if not network.crashed(one[0]))
    return next(attempts, None)


def try_network(
    networks: ConvertedNetworks,
    network: ConvertedNetwork,
    shapes: Shapes,
    precision: str,
    threads: int,
) -> ConvertedNetwork:
    """The network, with a record of which attempts end a process, until one that does not. Raises
    MemoryError where the system killed it."""
    for attempt, compiled_for in list_attempts(shapes):
        if network.tried(attempt):
            break
        if network.crashed(attempt):
            continue
        good = _survives(network.xml, shapes, compiled_for, precision, threads)
        network = networks.set_tried(network, attempt, good)
        if good:
            break
    return network


def _survives(
    xml: Path, shapes: Shapes, compiled_for: Shapes | None, precision: str, threads: int
) -> bool:
    """Whether a process that compiles and runs a network comes to its end."""
    job = [str(xml), shapes, compiled_for, precision, threads]
    root = str(Path(__file__).resolve().parents[3])
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return True
    assert process.stdin is not None
    try:
        with suppress(OSError):
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()  # it stays open: its end is the parent's
        status = process.wait()
    finally:
        process.kill()
        process.communicate()
    if hasattr(signal, "SIGKILL") and status == -signal.SIGKILL:
        raise MemoryError
    return status in (0, _ERROR)


def main() -> None:
    """The process: its job comes in a line of standard input."""
    xml, shapes, compiled_for, precision, threads = json.loads(sys.stdin.buffer.readline())
    Thread(target=end_with_parent, daemon=True).start()
    try:
        run_once(Path(xml), shapes, compiled_for, precision, threads)
    except Exception:
        os._exit(_ERROR)
    os._exit(0)  # no destructors: they are not what is tried


def end_with_parent() -> None:
    """End this process when its standard input ends."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def run_once(
    xml: Path,
    shapes: Shapes,
    compiled_for: Shapes | None,
    precision: str,
    threads: int,
) -> None:
    """Compile and run a network on zeros. Raises any exception."""
    import numpy as np

    openvino = import_openvino()
    compiled = compile_network(xml, compiled_for, precision, threads)
    request = compiled.create_infer_request()
    for number, shape in enumerate(shapes):
        kind = compiled.inputs[number].element_type
        half = kind == openvino.Type.bf16  # which numpy does not have
        zeros = np.zeros(shape, np.uint16 if half else kind.to_dtype())
        request.set_input_tensor(number, openvino.Tensor(zeros, list(shape), kind))
    request.infer()
