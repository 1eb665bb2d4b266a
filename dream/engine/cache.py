"""Models in memory: which stay, which leave, and whether another fits at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from dream.catalogue.cards import ModelCard
from dream.catalogue.recognise import read_header, recognise
from dream.catalogue.recognise.kinds import UNET
from dream.engine import memory
from dream.engine.base import Tell
from dream.engine.device import OFF, Placement, choose
from dream.engine.offload import choose_way
from dream.engine.pipelines import Loaded, read_index, stamp
from dream.engine.weights import Weights, count_parameters, find_weights
from dream.errors import ModelError, OutOfMemory
from dream.events import Note

WORK = 512 * 2**20
"""Bytes for painting a picture of usual size; a small model's are as small as its weights."""

_GIB = 2**30
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""


@dataclass(frozen=True)
class Weight:
    """What a model will take, from its files' headers, before it is loaded."""

    placement: Placement
    weights: int
    """Bytes it stays with."""
    passing: int = 0
    """Bytes it needs besides while it is read: a pickle is unpacked whole."""
    largest: int = 0
    """Bytes of its largest part, mostly the denoiser."""

    @property
    def need(self) -> int:
        """Bytes that must be free: the weights, and room to work with them."""
        return self.weights + max(self.passing, min(self.weights, WORK))


def weigh(card: ModelCard, device: str, precision: str) -> Weight:
    """Estimate a model. Raises BadSetting for a device that is not here. A model whose files
    cannot be read weighs nothing: what is wrong with them is said when it is loaded."""
    try:
        files = _files(card)
        parameters, largest = _parameters(card, files), _largest(card, files)
    except (ModelError, OSError):
        return Weight(choose(device, precision), 0)
    placement = choose(device, precision, parameters)
    unpacked = sum(
        path.stat().st_size for path in files.files if path.suffix.lower() != ".safetensors"
    )
    width = _WIDTH[placement.precision]
    return Weight(placement, parameters * width, unpacked, largest * width)


def _files(card: ModelCard) -> Weights:
    if card.path.is_file():
        return Weights((card.path,))
    return find_weights(card.path, read_index(card.path).libraries)


def _parameters(card: ModelCard, files: Weights) -> int:
    """Of a single file, without the averages of its training, which are not loaded."""
    return recognise(card.path).parameters if card.path.is_file() else count_parameters(files)


def _largest(card: ModelCard, files: Weights) -> int:
    """Parameters of the largest part; of a single file, those of the denoiser."""
    if card.path.is_file():
        tensors = read_header(card.path).tensors
        return sum(prod(tensors[name].shape) for name in tensors if name.startswith(UNET))
    parts = {path.parent for path in files.files}
    return max(
        count_parameters(Weights(tuple(path for path in files.files if path.parent == part)))
        for part in parts
    )


class Cache:
    """The models in memory, the one used last at the end."""

    def __init__(self, most: int, max_memory: float | None) -> None:
        """So many models at most, and so many GiB for all of them; None is what is free."""
        self._most = most
        self._max_bytes = None if max_memory is None else int(max_memory * _GIB)
        self._kept: list[tuple[Loaded, Weight]] = []

    def names(self) -> tuple[str, ...]:
        """Of the models, as their cards have them."""
        return tuple(loaded.card.name for loaded, _ in self._kept)

    def get(self, card: ModelCard) -> Loaded | None:
        """The model, if it is here; it is now the one used last. One whose files were changed
        leaves, for what its card says now is said of others."""
        wanted = _read_from(card)
        here = next((kept for kept in self._kept if _read_from(kept[0].card) == wanted), None)
        if here is None:
            return None
        self._kept.remove(here)
        if here[0].stamp != stamp(card.path):
            del here
            memory.give_back_memory()
            return None
        self._kept.append(here)
        return here[0]

    def keep(self, loaded: Loaded, weight: Weight) -> None:
        """Hold a model that room was made for."""
        self._kept.append((loaded, weight))

    def clear(self) -> None:
        """Let go of all models, and give their memory back."""
        if self._kept:
            self._kept.clear()
            memory.give_back_memory()

    def make_room(self, name: str, weight: Weight) -> None:
        """Let go of the models used least recently until one of this weight fits.

        Raises OutOfMemory, with numbers, when it would not fit even alone; then all stay.
        """
        memory.give_back_kept()  # what torch keeps for itself on a GPU does not look free
        free = memory.free(weight.placement.rests)
        mine = self._weights_in(weight.placement.rests)
        if self._max_bytes is not None and weight.weights > self._max_bytes:
            limit = f"--max_memory is {_gib(self._max_bytes)}"
            raise _too_large(name, weight, limit, "allow more, or choose a smaller model")
        if weight.need > free + mine:
            raise _too_large(name, weight, f"{_gib(free + mine)} are free on {_where(weight)}")
        while self._kept and not self._fits(weight):
            del self._kept[0]
            memory.give_back_memory()
        if weight.need > (free := memory.free(weight.placement.rests)):
            raise _too_large(name, weight, f"{_gib(free)} are free on {_where(weight)}")

    def way(self, name: str, weight: Weight, asked: str, tell: Tell) -> Weight:
        """The weight with its way to the device: see `engine.offload`. What that means is told."""
        device = weight.placement.device
        if not device.startswith("cuda"):
            if asked not in ("auto", OFF) and not self._kept:
                where = f"on {device} the weights are in main memory anyway"
                tell(Note(text=f"--low_memory {asked} changes nothing: {where}"))
            return weight
        room = self.room(device)
        work = weight.need - weight.weights
        way = choose_way(asked, device, weight.need, weight.largest + work, room)
        if asked == "auto" and way != OFF:
            needs = f"{name} needs {_gib(weight.need)}, and {device} has room for {_gib(room)}"
            tell(Note(text=f"{needs}: it comes from main memory as by --low_memory {way}"))
        return replace(weight, placement=replace(weight.placement, way=way))

    def room(self, device: str) -> int:
        """Bytes that would be free on a device if all models left."""
        memory.give_back_kept()
        return memory.free(device) + self._weights_in(device)

    def _weights_in(self, device: str) -> int:
        return sum(kept.weights for _, kept in self._kept if kept.placement.rests == device)

    def _fits(self, weight: Weight) -> bool:
        together = weight.weights + sum(kept.weights for _, kept in self._kept)
        return (
            len(self._kept) < self._most
            and (self._max_bytes is None or together <= self._max_bytes)
            and weight.need <= memory.free(weight.placement.rests)
        )


def _read_from(card: ModelCard) -> tuple[object, ...]:
    """What a model in memory was made of: cards that share it share the model."""
    return card.path, card.ema, card.prediction


def _too_large(
    name: str,
    weight: Weight,
    there_is: str,
    way_out: str = "close other programs, or choose a smaller model",
) -> OutOfMemory:
    precision = weight.placement.precision
    if precision == "float32":
        way_out = "--precision float16 or bfloat16 halves it"
    return OutOfMemory(f"{name} needs {_gib(weight.need)} in {precision}, but {there_is}", way_out)


def _where(weight: Weight) -> str:
    return "this machine" if weight.placement.rests in ("cpu", "mps") else weight.placement.rests


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
