"""Keeps models in memory: which stay, and which are unloaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import OutOfMemory
from dream.core.events import Note
from dream.engine.interface import ProgressCallback
from dream.engine.loading.file_signature import FileStamps, compute_model_signature
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory import low_memory as memory
from dream.engine.memory.device import NO_OFFLOAD
from dream.engine.memory.memory_estimate import MemoryEstimate
from dream.engine.memory.offload import choose_mode

_GIB = 2**30


class Companion(Protocol):
    """What is used beside a model: a control model, an IP-Adapter, an image encoder."""

    @property
    def model(self) -> Any:
        """May have `mapped_bytes`: see `low_memory.count_mapped_bytes`."""

    @property
    def key(self) -> tuple[object, ...]:
        """What it was loaded from, and for which device."""

    @property
    def file_signature(self) -> FileStamps:
        """Of its files, when it was loaded."""


Resident = LoadedModel | Companion
"""What is kept in memory."""
Kind = TypeVar("Kind", bound=Companion)


class ModelCache:
    """The models in memory, the one used last at the end; and what is used beside them."""

    def __init__(self, most: int, max_memory: float | None) -> None:
        """At most so many models, and so many GiB for all of them; None is what is free."""
        self._most = most
        self._max_bytes = None if max_memory is None else int(max_memory * _GIB)
        self._models: list[tuple[LoadedModel, MemoryEstimate]] = []
        self._companions: list[tuple[Companion, MemoryEstimate]] = []

    def list_names(self) -> tuple[str, ...]:
        """The models' names."""
        return tuple(loaded.info.name for loaded, _ in self._models)

    def list_models(self) -> tuple[LoadedModel, ...]:
        """The models, the one used last at the end."""
        return tuple(loaded for loaded, _ in self._models)

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

    def get_companion(
        self, kind: type[Kind], key: tuple[object, ...], signature: FileStamps
    ) -> Kind | None:
        """The one of that class and key, if it is in memory; it is now the one used last. One whose
        files have changed is unloaded."""
        here = next((cached for cached in self._companions if cached[0].key == key), None)
        if here is None or not isinstance(loaded := here[0], kind):
            return None
        self._companions.remove(here)
        if loaded.file_signature != signature:
            del here, loaded
            memory.free_memory()
            return None
        self._companions.append(here)
        return loaded

    def add_companion(self, loaded: Companion, weight: MemoryEstimate) -> None:
        """Keep one that `make_room` was called for."""
        self._companions.append((loaded, weight))

    def discard(self, loaded: LoadedModel) -> None:
        """Unload one model. Its memory is free when the caller lets go of it too."""
        self._models = [kept for kept in self._models if kept[0] is not loaded]

    def clear(self) -> None:
        """Unload all models, and free their memory."""
        if self._models or self._companions:
            self._models.clear()
            self._companions.clear()
            memory.free_memory()

    def make_room(
        self,
        name: str,
        weight: MemoryEstimate,
        needed: Sequence[Resident] = (),
        *,
        for_model: bool = True,
    ) -> None:
        """Unload what is beside the models, then the models used least recently, until one of this
        size fits; those that are `needed` with it stay. `for_model` says whether it counts as a
        model.

        Raises OutOfMemory, with numbers, when it would not fit even alone with those; then nothing
        is unloaded.
        """
        memory.empty_gpu_cache()  # torch's cache on a GPU does not count as free
        stay = [entry for entry in self._entries() if _is_one_of(entry[0], needed)]
        taken = sum(cached.weights for _, cached in stay)
        free = self._measure_free(weight.placement.storage_device)
        in_use = self._weights_in(weight.placement.storage_device, needed)
        if self._max_bytes is not None and weight.weights + taken > self._max_bytes:
            limit = f"--max_memory is {_gib(self._max_bytes)}"
            raise _out_of_memory(
                name, weight, limit, "raise --max_memory, or choose a smaller model"
            )
        if weight.required_bytes > free + in_use:
            raise _out_of_memory(
                name, weight, f"only {_gib(free + in_use)} are free on {_where(weight)}"
            )
        while not self._fits(weight, for_model) and self._unload_one(needed, for_model):
            memory.free_memory()
        if weight.required_bytes > (free := self._measure_free(weight.placement.storage_device)):
            raise _out_of_memory(name, weight, f"only {_gib(free)} are free on {_where(weight)}")

    def _unload_one(self, needed: Sequence[Resident], for_model: bool) -> bool:
        """Unload the model used least recently if there are too many; else one beside them, if
        there is any. False if all are needed."""
        if for_model and len(self._models) >= self._most:
            del self._models[0]
            return True
        lists: tuple[list[Any], list[Any]] = (self._companions, self._models)
        for kept in lists:
            for index, (loaded, _) in enumerate(kept):
                if not _is_one_of(loaded, needed):
                    del kept[index]
                    return True
        return False

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
        mapped += sum(getattr(loaded.model, "mapped_bytes", 0) for loaded, _ in self._companions)
        return memory.measure_free_memory(device) - mapped

    def _entries(self) -> Iterator[tuple[Resident, MemoryEstimate]]:
        yield from self._companions
        yield from self._models

    def _weights_in(self, device: str, without: Sequence[Resident] = ()) -> int:
        return sum(
            cached.weights
            for loaded, cached in self._entries()
            if cached.placement.storage_device == device and not _is_one_of(loaded, without)
        )

    def _fits(self, weight: MemoryEstimate, for_model: bool) -> bool:
        together = weight.weights + sum(cached.weights for _, cached in self._entries())
        return (
            (len(self._models) < self._most or not for_model)
            and (self._max_bytes is None or together <= self._max_bytes)
            and weight.required_bytes <= self._measure_free(weight.placement.storage_device)
        )


def _is_one_of(loaded: Resident, others: Sequence[Resident]) -> bool:
    return any(loaded is other for other in others)


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
