"""Brings weights from disk to their device in one pass: dtype, memory layout and device.

A model is built without memory for its weights, and every weight is copied once. Libraries draw
random numbers first, or keep the file mapped beside its copy, or convert the dtype and then the
layout. On a CPU, a large weight that would be copied unchanged is not copied: it is the file,
mapped into memory, which costs neither time nor memory beside the system's cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dream.core.errors import ModelError
from dream.engine.loading.encoded_tensor import EncodedTensor
from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.quantize import BytesToEncode
from dream.engine.loading.stored_weights import Placed, keep_encoded
from dream.engine.memory.device import Placement

CHUNK = 2**20
"""Numbers converted at a time: in float32 they fit into a processor's cache."""

COPY_THREADS = 4
"""Threads that copy; more would only wait for the memory."""

BATCH = 2**26
"""Bytes that are read before the file's pages are released."""

MAPPED_SIZE = 2**20
"""Bytes from which a weight stays mapped. Smaller ones are copied."""

ALIGNMENT = 64
"""Bytes. MKL's products in float32 depend, in the last bits, on where in memory a weight begins;
allocated memory begins at a multiple of this. Those in bfloat16 and float16 do not, see
`tests/engine/test_mapped_weights.py`."""

_HALVES = (torch.float16, torch.bfloat16)


class PendingWeight(NamedTuple):
    """A weight that is being copied."""

    origin: torch.Tensor | BytesToEncode
    """The tensor in its file."""
    arrived: Callable[[], torch.Tensor]
    """Wait for the copy, and return it."""


def load_weights(
    model: Any,
    weights: Mapping[str, torch.Tensor],
    path: Path,
    placement: Placement,
    files: Sequence[MappedFile],
    late: LateWeights | None = None,
) -> Any:
    """The model, built by `init_empty_weights`, with exactly these weights out of files; their
    copies are left to `late`, if it is given, on a CPU.

    Encoded weights stay as they are stored where that saves memory (`stored_weights`), others are
    decoded. Raises ModelError, before the first copy, where names and shapes are not the model's.
    """
    _compare(model, weights, path)
    kept = keep_encoded(model, weights, placement)
    if late is not None and kept.keys() == weights.keys() and placement.device == "cpu":
        return assign_late(model, weights, path, placement, files, late)
    with start_copying(kept, placement, files) as coming:
        return assign_weights(model, coming, path, files)


def assign_late(
    model: Any,
    weights: Mapping[str, torch.Tensor],
    path: Path,
    placement: Placement,
    files: Sequence[MappedFile],
    late: LateWeights,
) -> Any:
    """The model, with memory for exactly these weights, which `late` copies. Raises ModelError
    where names and shapes are not the model's."""
    _compare(model, weights, path)
    different = {id(old): old for old in weights.values()}
    mapped = {key for key, old in different.items() if can_stay_mapped(old, placement, files)}
    places = {
        k: old if k in mapped else allocate_for(old, placement) for k, old in different.items()
    }
    model.load_state_dict({n: places[id(t)] for n, t in weights.items()}, strict=True, assign=True)
    copied = [(different[key], places[key]) for key in places if key not in mapped]
    kept = sum(different[key].nbytes for key in mapped)
    model.mapped_bytes = kept + sum(new.nbytes for _, new in copied)  # nothing is taken yet

    def copy() -> None:
        with copy_threads() as pool, torch.no_grad():
            copies = [(pool.submit(copy_into, old, new), old.nbytes) for old, new in copied]
            wait_for_copies(((copy.result, size) for copy, size in copies), files)
        model.mapped_bytes = kept

    late.add(copy)
    return model.eval()


@contextmanager
def start_copying(
    weights: Mapping[str, torch.Tensor] | Placed,
    placement: Placement,
    files: Sequence[MappedFile],
) -> Iterator[dict[str, PendingWeight]]:
    """Start to copy these weights out of files while their model is built; on a CPU, several at the
    same time. A tensor with two names is copied once.

    There, each weight is copied by one thread. torch's way, all threads at each of a thousand
    tensors, waits for the slowest a thousand times: on a busy machine that takes far longer.
    """
    if placement.storage_device != "cpu":
        copies = {
            id(old): cache(partial(_copy_to_device, old, placement)) for old in weights.values()
        }
        yield {name: PendingWeight(old, copies[id(old)]) for name, old in weights.items()}
        return
    with copy_threads() as pool:

        def start(old: torch.Tensor | BytesToEncode) -> Callable[[], torch.Tensor]:
            if isinstance(old, torch.Tensor) and can_stay_mapped(old, placement, files):
                return lambda: old
            # This one thread allocates: another thread's memory comes from a heap of its own, where
            # it is scattered, and new, and slow, each time.
            return pool.submit(copy_into, old, allocate_for(old, placement)).result

        started = {
            id(old): start(old) for old in {id(old): old for old in weights.values()}.values()
        }
        yield {name: PendingWeight(old, started[id(old)]) for name, old in weights.items()}


@contextmanager
def copy_threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that copy, each with one thread of torch's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for threads that start now
    pool = ThreadPoolExecutor(min(threads, COPY_THREADS), "weights")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def assign_weights(
    model: Any, coming: Mapping[str, PendingWeight], path: Path, files: Sequence[MappedFile]
) -> Any:
    """The model, built by `init_empty_weights`, with exactly the weights that come from these
    files. Raises ModelError where names and shapes are not the model's."""
    _compare(model, {name: weight.origin for name, weight in coming.items()}, path)
    arrived = dict(
        zip(
            coming,
            wait_for_copies(((w.arrived, w.origin.nbytes) for w in coming.values()), files),
            strict=True,
        )
    )
    mapped = {id(t): t.nbytes for name, t in arrived.items() if t is coming[name].origin}
    if mapped:
        for file in files:
            file.read_ahead()
    model.load_state_dict(arrived, strict=True, assign=True)
    model.mapped_bytes = sum(mapped.values())
    return model.eval()


def wait_for_copies(
    copies: Iterable[tuple[Callable[[], torch.Tensor], int]], files: Sequence[MappedFile]
) -> list[torch.Tensor]:
    """What arrives, in this order, so that pages which were read can be released; beside each is
    how many bytes are read for it."""
    arrived, read = [], 0
    for wait, size in copies:
        arrived.append(wait())
        read += size
        if read > BATCH:
            _release_pages(files)
            read = 0
    _release_pages(files)
    return arrived


def can_stay_mapped(
    tensor: torch.Tensor, placement: Placement, files: Sequence[MappedFile]
) -> bool:
    """Whether a weight need not be copied out of these files: on a CPU, where dtype and layout
    are those of a copy. Not on Windows, where nobody could replace or delete such a file."""
    if placement.device != "cpu" or os.name == "nt" or tensor.nbytes < MAPPED_SIZE:
        return False
    if isinstance(tensor, EncodedTensor) or tensor.ndim > 3 or not tensor.is_contiguous():
        return False
    if tensor.is_floating_point() and tensor.dtype != placement.dtype:
        return False
    aligned = tensor.dtype != torch.float32 or tensor.data_ptr() % ALIGNMENT == 0
    return aligned and any(file.contains(tensor) for file in files)


def allocate_for(tensor: torch.Tensor | BytesToEncode, placement: Placement) -> torch.Tensor:
    """An empty tensor for the copy: on the storage device, in the placement's dtype unless integer.

    Convolution kernels (N, C, H, W) are channels_last for a CPU: measured, the VAE decodes up to an
    eighth faster, the UNet a little.
    """
    if isinstance(tensor, BytesToEncode):
        return torch.empty(tensor.shape, dtype=torch.uint8, device=placement.storage_device)
    kernels = placement.device == "cpu" and tensor.ndim == 4
    return torch.empty(
        tensor.shape,
        dtype=placement.dtype if tensor.is_floating_point() else tensor.dtype,
        device=placement.storage_device,
        memory_format=torch.channels_last if kernels else torch.contiguous_format,
    )


def copy_into(old: torch.Tensor | BytesToEncode, new: torch.Tensor) -> torch.Tensor:
    """Copy the first into the second, rounded to its dtype, in its layout; returns the second."""
    if isinstance(old, BytesToEncode):
        return old.write(new)
    if isinstance(old, EncodedTensor):
        return old.decode_into(new)
    if new.device.type == "cpu" and old.ndim and {old.dtype, new.dtype} == {*_HALVES}:
        return _by_float32(old, new)
    return new.copy_(old)


def _by_float32(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Between float16 and bfloat16, by rows: the layout, then the dtype. torch converts these
    number by number, but from and to float32 with vector instructions where the layout stays: this
    takes half the time, and rounds the same."""
    rows = max(1, CHUNK // max(1, old[:1].numel()))
    # Allocated once for all rows: new memory is slow.
    laid = torch.empty_like(new[:rows], dtype=old.dtype)
    between = torch.empty_like(laid, dtype=torch.float32)
    for row in range(0, len(old), rows):
        some = old[row : row + rows]
        if old.stride() != new.stride():
            some = laid[: len(some)].copy_(some)
        new[row : row + rows].copy_(between[: len(some)].copy_(some))
    return new


def _copy_to_device(old: torch.Tensor | BytesToEncode, placement: Placement) -> torch.Tensor:
    return copy_into(old, allocate_for(old, placement))


def _release_pages(files: Sequence[MappedFile]) -> None:
    for file in files:
        file.release_pages()


def missing_weights_error(path: Path, what: str, many: int = 1) -> ModelError:
    """The error for a file without a weight that its model needs."""
    others = f" and {many - 1} more" if many > 1 else ""
    return ModelError(
        f"{path}: missing {what}{others}", "the file is truncated, or was pruned too far"
    )


def _compare(model: Any, weights: Mapping[str, torch.Tensor] | Placed, path: Path) -> None:
    places, kind = model.state_dict(), type(model).__name__
    if absent := sorted(places.keys() - weights.keys()):
        raise missing_weights_error(path, f"{absent[0]} of {kind}", len(absent))
    if over := sorted(weights.keys() - places.keys()):
        raise ModelError(f"{path}: {kind} does not use its {over[0]}")
    for name, place in places.items():
        if weights[name].shape != place.shape:
            raise ModelError(
                f"{path}: {name} of {kind} has shape {_sides(weights[name])}, not {_sides(place)}"
            )


def _sides(tensor: torch.Tensor | BytesToEncode) -> str:
    return " x ".join(map(str, tensor.shape))
