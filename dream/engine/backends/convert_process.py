"""Converts a model's networks in a process of its own, while torch generates with them in this one.

The process loads the model again, at a low priority and on one thread, and ends with its parent.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dream.catalogue.model_info import ModelInfo
    from dream.engine.adapters.weight_merge import WeightedLora
    from dream.engine.backends.network_call import NetworkCall
    from dream.engine.loading.pipelines import LoadedModel

NICENESS = 10
_FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, MemoryError)
"""What converting and trying raise."""

_START = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from dream.engine.backends.convert_process import main; main()"
)


@dataclass(frozen=True)
class ConversionJob:
    """What the process converts, and where to."""

    info: ModelInfo
    precision: str
    loras: tuple[tuple[str, Path, float, float], ...]
    """Name, file, weight, and weight for text encoders of each."""
    calls: Mapping[str, NetworkCall]
    """By part: a call of each network, as an example."""
    folder: Path
    threads: int
    """Of the worker: the networks are compiled for as many."""


class BackgroundConverter:
    """Starts such processes, one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    @property
    def is_running(self) -> bool:
        """Whether a network is being converted."""
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        loaded: LoadedModel,
        loras: Sequence[WeightedLora],
        calls: Mapping[str, NetworkCall],
        folder: Path,
    ) -> None:
        """Convert the networks of a model with these LoRAs. Does nothing while another conversion
        runs, and where there is no memory for a second copy of the model."""
        import torch

        from dream.engine.backends.openvino_forward import count_bytes
        from dream.engine.memory.low_memory import measure_free_memory

        weights = sum(
            count_bytes(part)
            for part in loaded.pipe.components.values()
            if hasattr(part, "parameters")
        )
        if self.is_running or measure_free_memory("cpu") < 2 * weights:
            return
        self.close()
        job = ConversionJob(
            loaded.info,
            loaded.placement.precision,
            tuple((one.file.name, one.file.path, one.weight, one.text_weight) for one in loras),
            calls,
            folder,
            torch.get_num_threads(),
        )
        self._folder = folder
        root = str(Path(__file__).resolve().parents[3])
        with suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            assert self._process.stdin is not None
            pickle.dump(job, self._process.stdin)
            self._process.stdin.flush()  # it stays open: its end is the parent's

    def wait(self) -> None:
        """Until nothing is being converted."""
        if self._process is not None:
            self._process.wait()

    def close(self) -> None:
        """Stop the conversion."""
        from dream.engine.backends.converted_networks import ConvertedNetworks

        process, self._process = self._process, None
        if process is None:
            return
        was_running = process.poll() is None  # otherwise what it left tells that it crashed
        process.kill()
        with suppress(OSError):
            process.communicate()
        if was_running:
            ConvertedNetworks(self._folder).discard_partial(process.pid)


def main() -> None:
    """The process: its job comes on standard input."""
    stdin: IO[bytes] = sys.stdin.buffer
    job = pickle.load(stdin)  # from the parent, nobody else
    Thread(target=_end_with_parent, args=(stdin, job.folder), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    convert_networks(job)


def _end_with_parent(stdin: IO[bytes], folder: Path) -> None:
    from dream.engine.backends.converted_networks import ConvertedNetworks

    while os.read(stdin.fileno(), 1024):
        pass
    ConvertedNetworks(folder).discard_partial(os.getpid())
    os._exit(0)


def convert_networks(job: ConversionJob) -> None:
    """Convert each network that was not converted yet. Raises what loading and converting raise."""
    import torch

    from dream.engine.adapters.lora_file import open_lora
    from dream.engine.adapters.weight_merge import WeightedLora, merge
    from dream.engine.backends.converted_networks import ConvertedNetworks
    from dream.engine.backends.engines import VAE, get_denoiser
    from dream.engine.backends.identity import compute_key, identify_denoiser, identify_vae
    from dream.engine.backends.openvino_forward import convert_and_keep
    from dream.engine.backends.openvino_runtime import PRECISIONS
    from dream.engine.backends.trial import try_network
    from dream.engine.loading.pipelines import load_model

    torch.set_num_threads(1)
    loaded = load_model(job.info, "cpu", job.precision)
    loras = [
        WeightedLora(open_lora(name, path), weight, text_weight)
        for name, path, weight, text_weight in job.loras
    ]
    merge(loaded.adapters, loras, loaded.pipe, loaded.info.name)
    networks = ConvertedNetworks(job.folder)
    for part, call in job.calls.items():
        module: Any = loaded.pipe.vae.decoder if part == VAE else get_denoiser(loaded.pipe)
        identity = identify_vae(loaded, "") if part == VAE else identify_denoiser(loaded, loras)
        key = compute_key(identity, module, call.layout)
        if networks.find(key) is None:
            with suppress(*_FAILURES):
                network = convert_and_keep(networks, key, module, call)
                precision = PRECISIONS[next(module.parameters()).dtype]
                try_network(networks, network, call.shapes, precision, job.threads)
