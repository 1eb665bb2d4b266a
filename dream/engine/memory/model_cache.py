"""Models in memory: which stay, which leave, and whether another fits at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from dream.catalogue.detect import detect, read_header
from dream.catalogue.detect.model_kinds import UNET
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Note
from dream.engine.interface import ProgressCallback
from dream.engine.loading.pipelines import LoadedModel, compute_file_signature, read_index
from dream.engine.loading.weight_files import WeightFiles, count_parameters, find_weights
from dream.engine.memory import low_memory as memory
from dream.engine.memory.device import NO_OFFLOAD, Placement, choose_placement
from dream.engine.memory.offload import choose_mode

WORK = 512 * 2**20
"""Bytes for painting a picture of usual size; a small model's are as small as its weights."""

_GIB = 2**30
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""


@dataclass(frozen=True)
class MemoryEstimate:
    """What a model will take, from its files' headers, before it is loaded."""

    placement: Placement
    weights: int
    """Bytes it stays with."""
    load_overhead: int = 0
    """Bytes it needs besides while it is read: a pickle is unpacked whole."""
    largest: int = 0
    """Bytes of its largest part, mostly the denoiser."""

    @property
    def required_bytes(self) -> int:
        """Bytes that must be free: the weights, and room to work with them."""
        return self.weights + max(self.load_overhead, min(self.weights, WORK))


def estimate_memory(card: ModelInfo, device: str, precision: str) -> MemoryEstimate:
    """Estimate a model. Raises BadSetting for a device that is not here. A model whose files
    cannot be read weighs nothing: what is wrong with them is said when it is loaded."""
    try:
        files = _files(card)
        parameters, largest = _parameters(card, files), _largest(card, files)
    except (ModelError, OSError):
        return MemoryEstimate(choose_placement(device, precision), 0)
    placement = choose_placement(device, precision, parameters)
    unpacked = sum(
        path.stat().st_size for path in files.files if path.suffix.lower() != ".safetensors"
    )
    width = _WIDTH[placement.precision]
    return MemoryEstimate(placement, parameters * width, unpacked, largest * width)


def _files(card: ModelInfo) -> WeightFiles:
    if card.path.is_file():
        return WeightFiles((card.path,))
    return find_weights(card.path, read_index(card.path).libraries)


def _parameters(card: ModelInfo, files: WeightFiles) -> int:
    """Of a single file, without the averages of its training, which are not loaded."""
    return detect(card.path).parameters if card.path.is_file() else count_parameters(files)


def _largest(card: ModelInfo, files: WeightFiles) -> int:
    """Parameters of the largest part; of a single file, those of the denoiser."""
    if card.path.is_file():
        tensors = read_header(card.path).tensors
        return sum(prod(tensors[name].shape) for name in tensors if name.startswith(UNET))
    parts = {path.parent for path in files.files}
    return max(
        count_parameters(WeightFiles(tuple(path for path in files.files if path.parent == part)))
        for part in parts
    )


class ModelCache:
    """The models in memory, the one used last at the end."""

    def __init__(self, most: int, max_memory: float | None) -> None:
        """So many models at most, and so many GiB for all of them; None is what is free."""
        self._most = most
        self._max_bytes = None if max_memory is None else int(max_memory * _GIB)
        self._kept: list[tuple[LoadedModel, MemoryEstimate]] = []

    def list_names(self) -> tuple[str, ...]:
        """Of the models, as their cards have them."""
        return tuple(loaded.card.name for loaded, _ in self._kept)

    def get(self, card: ModelInfo) -> LoadedModel | None:
        """The model, if it is here; it is now the one used last. One whose files were changed
        leaves, for what its card says now is said of others."""
        wanted = _read_from(card)
        here = next((kept for kept in self._kept if _read_from(kept[0].card) == wanted), None)
        if here is None:
            return None
        self._kept.remove(here)
        if here[0].file_signature != compute_file_signature(card.path):
            del here
            memory.free_memory()
            return None
        self._kept.append(here)
        return here[0]

    def add(self, loaded: LoadedModel, weight: MemoryEstimate) -> None:
        """Hold a model that room was made for."""
        self._kept.append((loaded, weight))

    def clear(self) -> None:
        """Let go of all models, and give their memory back."""
        if self._kept:
            self._kept.clear()
            memory.free_memory()

    def make_room(self, name: str, weight: MemoryEstimate) -> None:
        """Let go of the models used least recently until one of this weight fits.

        Raises OutOfMemory, with numbers, when it would not fit even alone; then all stay.
        """
        memory.empty_gpu_cache()  # what torch keeps for itself on a GPU does not look free
        free = memory.measure_free_memory(weight.placement.storage_device)
        mine = self._weights_in(weight.placement.storage_device)
        if self._max_bytes is not None and weight.weights > self._max_bytes:
            limit = f"--max_memory is {_gib(self._max_bytes)}"
            raise _too_large(name, weight, limit, "raise --max_memory, or choose a smaller model")
        if weight.required_bytes > free + mine:
            raise _too_large(name, weight, f"only {_gib(free + mine)} are free on {_where(weight)}")
        while self._kept and not self._fits(weight):
            del self._kept[0]
            memory.free_memory()
        if weight.required_bytes > (
            free := memory.measure_free_memory(weight.placement.storage_device)
        ):
            raise _too_large(name, weight, f"only {_gib(free)} are free on {_where(weight)}")

    def choose_offload(
        self, name: str, weight: MemoryEstimate, asked: str, tell: ProgressCallback
    ) -> MemoryEstimate:
        """The weight with its way to the device: see `engine.offload`. What that means is told."""
        device = weight.placement.device
        if not device.startswith("cuda"):
            if asked not in ("auto", NO_OFFLOAD) and not self._kept:
                where = f"on {device}, weights are always in main memory"
                tell(Note(text=f"--low_memory {asked} has no effect: {where}"))
            return weight
        room = self.count_free_bytes(device)
        work = weight.required_bytes - weight.weights
        way = choose_mode(asked, device, weight.required_bytes, weight.largest + work, room)
        if asked == "auto" and way != NO_OFFLOAD:
            required = _gib(weight.required_bytes)
            needs = f"{name} needs {required}, but {device} has only {_gib(room)}"
            tell(Note(text=f"{needs}; offloading its weights with --low_memory {way}"))
        return replace(weight, placement=replace(weight.placement, offload_mode=way))

    def count_free_bytes(self, device: str) -> int:
        """Bytes that would be free on a device if all models left."""
        memory.empty_gpu_cache()
        return memory.measure_free_memory(device) + self._weights_in(device)

    def _weights_in(self, device: str) -> int:
        return sum(
            kept.weights for _, kept in self._kept if kept.placement.storage_device == device
        )

    def _fits(self, weight: MemoryEstimate) -> bool:
        together = weight.weights + sum(kept.weights for _, kept in self._kept)
        return (
            len(self._kept) < self._most
            and (self._max_bytes is None or together <= self._max_bytes)
            and weight.required_bytes <= memory.measure_free_memory(weight.placement.storage_device)
        )


def _read_from(card: ModelInfo) -> tuple[object, ...]:
    """What a model in memory was made of: cards that share it share the model."""
    return card.path, card.ema, card.prediction


def _too_large(
    name: str,
    weight: MemoryEstimate,
    there_is: str,
    way_out: str = "close other programs, or choose a smaller model",
) -> OutOfMemory:
    precision = weight.placement.precision
    if precision == "float32":
        way_out = "--precision float16 or bfloat16 needs half of that"
    return OutOfMemory(
        f"{name} needs {_gib(weight.required_bytes)} in {precision}, but {there_is}", way_out
    )


def _where(weight: MemoryEstimate) -> str:
    return (
        "this machine"
        if weight.placement.storage_device in ("cpu", "mps")
        else weight.placement.storage_device
    )


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
