"""Keeps models in memory: which stay, which are unloaded, and whether another one fits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from dream.catalogue.detect import detect, read_header
from dream.catalogue.detect.model_kinds import UNET
from dream.catalogue.detect.number_formats import memory_size
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Note
from dream.engine.interface import ProgressCallback
from dream.engine.loading.file_signature import (
    compute_model_signature,
    count_used_parameters,
    list_weight_files,
    select_used,
)
from dream.engine.loading.model_index import read_index
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.loading.weight_files import WeightFiles, count_parameters, find_weights
from dream.engine.memory import low_memory as memory
from dream.engine.memory.device import NO_OFFLOAD, Placement, choose_placement
from dream.engine.memory.offload import choose_mode
from dream.options.quantize_table import NO_QUANTIZATION

WORK = 512 * 2**20
"""Bytes for generating an image of usual size; a small model needs no more than its weights
again."""

MAPPED = (".safetensors", ".gguf")
"""Suffixes of files that are mapped into memory, not unpacked."""

_GIB = 2**30
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number."""


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory a model will need, from its files' headers, before it is loaded."""

    placement: Placement
    weights: int
    """Bytes of the loaded weights."""
    load_overhead: int = 0
    """Extra bytes while it is loaded: a pickle is unpacked as a whole."""
    largest: int = 0
    """Bytes of its largest component, mostly the denoiser."""

    @property
    def required_bytes(self) -> int:
        """Bytes that must be free: the weights, and memory to work with them."""
        return self.weights + max(self.load_overhead, min(self.weights, WORK))


def estimate_memory(info: ModelInfo, device: str, precision: str) -> MemoryEstimate:
    """Estimate a model. Raises BadSetting for a device that is not here. A model whose files cannot
    be read counts as 0 bytes: loading it will report the error."""
    try:
        files = _files(info)
        parameters, largest = _parameters(info, files), _largest(info, files)
    except (ModelError, OSError):
        return MemoryEstimate(choose_placement(device, precision), 0)
    placement = choose_placement(device, precision, parameters)
    unpacked = sum(path.stat().st_size for path in files.files if path.suffix.lower() not in MAPPED)
    width = _WIDTH[placement.precision]
    if info.path.is_file():
        sizes = _sizes_of_files(info, files, width)
    elif info.quantize == NO_QUANTIZATION or unpacked:
        sizes = parameters * width, largest * width
    else:
        parts = _sizes_of_parts(files, width, info.quantize)
        sizes = sum(parts), max(parts)
    return MemoryEstimate(placement, sizes[0], unpacked, sizes[1])


def _sizes_of_files(info: ModelInfo, files: WeightFiles, width: int) -> tuple[int, int]:
    """Bytes of a model in single files, and of its denoiser. --quantize leaves a VAE as it is."""
    vaes = {part.path for part in info.parts if part.part == "vae" and part.path != info.path}
    whole = sum(
        memory_size(
            select_used(info, file, read_header(file).tensors),
            width,
            NO_QUANTIZATION if file in vaes else info.quantize,
        )
        for file in files.files
    )
    pieces = detect(info.path).pieces
    start = pieces[0].prefix if pieces else UNET
    rows = read_header(info.path).tensors
    denoiser = {name: row for name, row in rows.items() if name.startswith(start)}
    return whole, memory_size(denoiser, width, info.quantize)


def _sizes_of_parts(files: WeightFiles, width: int, quantize: str) -> list[int]:
    """Bytes of each component of a folder, quantized; but a VAE is not."""
    sizes: Counter[Path] = Counter()
    for path in files.files:
        how = NO_QUANTIZATION if path.parent.name.startswith("vae") else quantize
        sizes[path.parent] += memory_size(read_header(path).tensors, width, how)
    return list(sizes.values())


def _files(info: ModelInfo) -> WeightFiles:
    if info.path.is_file():
        return list_weight_files(info)
    return find_weights(info.path, read_index(info.path).libraries)


def _parameters(info: ModelInfo, files: WeightFiles) -> int:
    """Of single files, without their EMA weights, which are not loaded."""
    if info.path.is_file():
        return count_used_parameters(info)
    return count_parameters(files)


def _largest(info: ModelInfo, files: WeightFiles) -> int:
    """Parameters of the largest component of a folder."""
    if info.path.is_file():
        return 0
    parts = {path.parent for path in files.files}
    return max(
        count_parameters(WeightFiles(tuple(path for path in files.files if path.parent == part)))
        for part in parts
    )


class ModelCache:
    """The models in memory, the one used last at the end."""

    def __init__(self, most: int, max_memory: float | None) -> None:
        """At most so many models, and so many GiB for all of them; None is what is free."""
        self._most = most
        self._max_bytes = None if max_memory is None else int(max_memory * _GIB)
        self._models: list[tuple[LoadedModel, MemoryEstimate]] = []

    def list_names(self) -> tuple[str, ...]:
        """The models' names."""
        return tuple(loaded.info.name for loaded, _ in self._models)

    def get(self, info: ModelInfo) -> LoadedModel | None:
        """The model, if it is in memory; it is now the one used last. A model whose files have
        changed is unloaded."""
        wanted = _source_key(info)
        here = next(
            (cached for cached in self._models if _source_key(cached[0].info) == wanted), None
        )
        if here is None:
            return None
        self._models.remove(here)
        if here[0].file_signature != compute_model_signature(info):
            del here
            memory.free_memory()
            return None
        self._models.append(here)
        return here[0]

    def add(self, loaded: LoadedModel, weight: MemoryEstimate) -> None:
        """Keep a model that `make_room` was called for."""
        self._models.append((loaded, weight))

    def discard(self, loaded: LoadedModel) -> None:
        """Unload one model. Its memory is free when the caller lets go of it too."""
        self._models = [kept for kept in self._models if kept[0] is not loaded]

    def clear(self) -> None:
        """Unload all models, and free their memory."""
        if self._models:
            self._models.clear()
            memory.free_memory()

    def make_room(self, name: str, weight: MemoryEstimate) -> None:
        """Unload the models used least recently until one of this size fits.

        Raises OutOfMemory, with numbers, when it would not fit even alone; then nothing is
        unloaded.
        """
        memory.empty_gpu_cache()  # torch's cache on a GPU does not count as free
        free = self._measure_free(weight.placement.storage_device)
        in_use = self._weights_in(weight.placement.storage_device)
        if self._max_bytes is not None and weight.weights > self._max_bytes:
            limit = f"--max_memory is {_gib(self._max_bytes)}"
            raise _out_of_memory(
                name, weight, limit, "raise --max_memory, or choose a smaller model"
            )
        if weight.required_bytes > free + in_use:
            raise _out_of_memory(
                name, weight, f"only {_gib(free + in_use)} are free on {_where(weight)}"
            )
        while self._models and not self._fits(weight):
            del self._models[0]
            memory.free_memory()
        if weight.required_bytes > (free := self._measure_free(weight.placement.storage_device)):
            raise _out_of_memory(name, weight, f"only {_gib(free)} are free on {_where(weight)}")

    def choose_offload(
        self, name: str, weight: MemoryEstimate, requested: str, report: ProgressCallback
    ) -> MemoryEstimate:
        """The estimate with its offload mode: see `engine.memory.offload`. Reports a Note that
        explains it."""
        device = weight.placement.device
        if not device.startswith("cuda"):
            if requested not in ("auto", NO_OFFLOAD) and not self._models:
                where = f"on {device}, weights are always in main memory"
                report(Note(text=f"--low_memory {requested} has no effect: {where}"))
            return weight
        room = self.count_free_bytes(device)
        work = weight.required_bytes - weight.weights
        mode = choose_mode(requested, device, weight.required_bytes, weight.largest + work, room)
        if requested == "auto" and mode != NO_OFFLOAD:
            required = _gib(weight.required_bytes)
            needs = f"{name} needs {required}, but {device} has only {_gib(room)}"
            report(Note(text=f"{needs}; offloading its weights with --low_memory {mode}"))
        return replace(weight, placement=replace(weight.placement, offload_mode=mode))

    def count_free_bytes(self, device: str) -> int:
        """Bytes that would be free on a device if all models were unloaded."""
        memory.empty_gpu_cache()
        return self._measure_free(device) + self._weights_in(device)

    def _measure_free(self, device: str) -> int:
        mapped = memory.count_mapped_bytes(loaded.pipe for loaded, _ in self._models)
        return memory.measure_free_memory(device) - mapped

    def _weights_in(self, device: str) -> int:
        return sum(
            cached.weights
            for _, cached in self._models
            if cached.placement.storage_device == device
        )

    def _fits(self, weight: MemoryEstimate) -> bool:
        together = weight.weights + sum(cached.weights for _, cached in self._models)
        return (
            len(self._models) < self._most
            and (self._max_bytes is None or together <= self._max_bytes)
            and weight.required_bytes <= self._measure_free(weight.placement.storage_device)
        )


def _source_key(info: ModelInfo) -> tuple[object, ...]:
    """What a model in memory was loaded from: entries with the same key share the model."""
    return info.path, info.ema, info.prediction, info.parts, info.quantize


def _out_of_memory(
    name: str,
    weight: MemoryEstimate,
    limit: str,
    hint: str = "close other programs, or choose a smaller model",
) -> OutOfMemory:
    precision = weight.placement.precision
    if precision == "float32":
        hint = "--precision float16 or bfloat16 needs half of that"
    return OutOfMemory(
        f"{name} needs {_gib(weight.required_bytes)} in {precision}, but {limit}", hint
    )


def _where(weight: MemoryEstimate) -> str:
    return (
        "this machine"
        if weight.placement.storage_device in ("cpu", "mps")
        else weight.placement.storage_device
    )


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
