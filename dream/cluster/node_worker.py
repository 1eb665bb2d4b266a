"""The side of a worker that runs on a node, as a Ray actor.

It owns a `LocalWorker`, so torch is in a process of its own here too, and a crash, a cancelled
image or memory that runs out is handled as on one machine. Its answers go back over one stream for
as long as it lives.
"""

from __future__ import annotations

import os
import platform
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import SimpleQueue

import ray

import dream
from dream.catalogue import ModelRegistry, find_models_dirs
from dream.cluster.file_hashes import hash_required_files
from dream.cluster.input_files import place_input_files, rename_input_files, with_input_files
from dream.cluster.node_messages import NodeDescription, NodeState
from dream.cluster.required_files import RequiredFile
from dream.core.errors import DreamError
from dream.engine.interface import DeviceConfig
from dream.worker.channel import deserialize, serialize
from dream.worker.crash import to_dream_error
from dream.worker.local_worker import LocalWorker
from dream.worker.open_pool import count_cores
from dream.worker.pool_worker import PoolAnswer, PoolWorker
from dream.worker.protocol import LoadTask, Task, TaskCancelled, TaskDone, TaskFailed

CONCURRENCY_GROUPS = {"control": 1, "files": 1, "answers": 1}
"""Threads of an actor. Calls of one group run in the order in which they were made."""

_LIBRARIES = ("torch", "diffusers", "transformers", "openvino")


class NodeWorker:
    """Runs tasks on a node. What arrives and leaves is bytes of `worker.channel.serialize`, so that
    each side reads only dream's own classes."""

    def __init__(self, name: str, machine: bytes, registry: bytes) -> None:
        """`machine` is the DeviceConfig, `registry` the driver's ModelRegistry: its folders are
        used here too where they exist, before those of the node."""
        # Ray sets it to 1 for an actor that reserves no CPU, and torch's process would inherit it.
        # The number of threads is the recipe's, or that of the machine's cores.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._machine: DeviceConfig = deserialize(machine)
        self._registry = find_on_node(deserialize(registry))
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._files = tempfile.TemporaryDirectory(prefix="dream-inputs-")
        self._former_paths: dict[int, dict[str, str]] = {}
        self._worker = self.make_worker(name)

    def make_worker(self, name: str) -> PoolWorker:
        """What runs the tasks, and tells `report`. Replaced where no image is to be rendered."""
        return LocalWorker(name, self._registry, self._machine, self.report)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def describe(self) -> dict[str, object]:
        """The fields of NodeDescription."""
        found = {"dream": dream.__version__}
        for name in _LIBRARIES:
            with suppress(PackageNotFoundError):
                found[name] = version(name)
        described = NodeDescription(
            socket.gethostname(),
            os.getpid(),
            *name_processor(self._machine.device),
            count_cores(),
            tuple(found.items()),
        )
        return dict(vars(described))

    @ray.method(concurrency_group="files")  # type: ignore[untyped-decorator,unused-ignore]
    def hash_files(self, files: Sequence[tuple[str, str]]) -> list[str] | str:
        """The SHA-256 of each RequiredFile; as text, why that is not possible."""
        try:
            named = [RequiredFile(*file) for file in files]
            hashes = hash_required_files(self._registry, named)
            return [hashes[file] for file in named]
        except Exception as error:
            return str(to_dream_error(error))

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def start(self, job: int, task: bytes, files: Mapping[str, bytes]) -> None:
        """Run a task, with the content of its input images by the paths that it names."""
        try:
            read: Task = deserialize(task)
            places = place_input_files(files, Path(self._files.name))
        except Exception as error:
            self.report(TaskFailed(job, to_dream_error(error)))
            return
        self._former_paths[job] = {place: path for path, place in places.items()}
        self._worker.start(job, with_input_files(read, places))

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def cancel(self, job: int) -> None:
        """Cancel a job."""
        self._worker.cancel(job)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def preload(self, task: bytes) -> None:
        """Load a model when there is nothing else to do."""
        read: LoadTask = deserialize(task)
        self._worker.preload(read)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def restart(self) -> None:
        """End the worker's process."""
        self._worker.restart()

    @ray.method(concurrency_group="answers", num_returns="streaming")  # type: ignore[untyped-decorator,unused-ignore]
    def stream_answers(self) -> Iterator[bytes]:
        """What happens, until the actor ends."""
        while True:
            yield self._answers.get()

    def report(self, answer: PoolAnswer) -> None:
        """Send an answer to the driver."""
        if isinstance(answer, TaskDone | TaskFailed | TaskCancelled):
            former = self._former_paths.pop(answer.job, {})
            loaded = tuple(self._worker.list_loaded())
            state = NodeState(loaded, self._worker.get_memory_usage())
            self._answers.put(serialize(state))
            answer = _with_former_paths(answer, former)
        self._answers.put(serialize(answer))


def find_on_node(registry: ModelRegistry) -> ModelRegistry:
    """The registry of a node: the driver's folders that exist here, and this machine's own."""
    theirs = [folder for folder in registry.models_dirs if folder.is_dir()]
    dirs = tuple(dict.fromkeys([*theirs, *find_models_dirs()]))
    return replace(registry, models_dirs=dirs)


def name_processor(device: str = "auto") -> tuple[str, bool]:
    """The GPU that Ray reserved, or the CPU, as far as that can be found without torch; and whether
    it is a GPU."""
    with suppress(OSError, LookupError):
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
        if wanted and device != "cpu":
            return _name_gpu(wanted), True
    with suppress(OSError):
        for row in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip(), False
    return platform.processor() or platform.machine(), False


def _name_gpu(wanted: str) -> str:
    """The name of a GPU, from its number or its UUID. Raises LookupError."""
    reports = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    texts = [path.read_text(encoding="utf-8") for path in reports]
    text = texts[int(wanted)] if wanted.isdecimal() else next(t for t in texts if wanted in t)
    rows = dict(row.split(":", 1) for row in text.splitlines() if ":" in row)
    return rows["Model"].strip()


def _with_former_paths(
    answer: TaskDone | TaskFailed | TaskCancelled, former: Mapping[str, str]
) -> PoolAnswer:
    """Name the input images as the task did."""
    match answer:
        case TaskDone(job, picture) if picture is not None:
            return TaskDone(job, rename_input_files(picture, former))
        case TaskFailed(job, error):
            return TaskFailed(job, _rename_in_error(error, former))
    return answer


def _rename_in_error(error: DreamError, former: Mapping[str, str]) -> DreamError:
    for place, path in former.items():
        error.message = error.message.replace(place, path)
    return error
