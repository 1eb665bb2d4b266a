"""Detects that memory ran out, and renders with less of it."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import torch

from dream.engine.memory.device import measure_gpu_memory as device_memory
from dream.engine.memory.host_memory import measure_free_host_memory

T = TypeVar("T")

OOM_PATTERNS = ("not enough memory", "can't allocate memory", "out of memory")
"""From the messages of torch's allocators for CPU (Linux, Windows), Apple's GPU and CUDA."""


def run_or_none_on_oom(work: Callable[[], T]) -> T | None:
    """The result of the work; None when memory ran out. Other errors are raised.

    Only after the `except` are the traceback and every tensor it holds released, so that their
    memory can be freed.
    """
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in OOM_PATTERNS)


def measure_free_memory(device: str) -> int:
    """Free bytes of the GPU's own memory, or else of the host's, within the limit of this process's
    control group. Mapped files count as free: see `count_mapped_bytes`."""
    if (own := device_memory(device)) is not None:
        return own[0]
    return measure_free_host_memory()


def count_mapped_bytes(pipes: Iterable[Any]) -> int:
    """Bytes of weights that are mapped files, see `loading.weight_copy`; what pipelines share
    counts once."""
    parts = {id(part): part for pipe in pipes for part in pipe.components.values()}
    return sum(getattr(part, "mapped_bytes", 0) for part in parts.values())


def free_memory() -> None:
    """Free what is not referenced any more, on the host and on the GPU."""
    gc.collect()
    empty_gpu_cache()
    _trim()


def empty_gpu_cache() -> None:
    """Free torch's cache on the GPU. Without garbage collection, which takes a quarter of a second
    with all the objects of the libraries."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _trim() -> None:
    """GNU's malloc keeps freed memory below memory that is in use: measured, most of a model's two
    gigabytes. `malloc_trim` returns it; other systems do this by themselves."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library, which has no such call
            ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def use_less_memory(pipe: Any) -> Iterator[None]:
    """The pipeline with attention slicing, and VAE slicing and tiling; undone at the end.

    Slower, and not the same bits. Pipelines and VAEs without these modes are unchanged.
    """
    switches = (
        (pipe, "attention_slicing"),
        (getattr(pipe, "vae", None), "slicing"),
        (getattr(pipe, "vae", None), "tiling"),
    )
    with ExitStack() as undo:
        for part, name in switches:
            enable: Callable[[], None] | None = getattr(part, f"enable_{name}", None)
            if enable is not None:
                undo.callback(getattr(part, f"disable_{name}"))
                enable()
        yield
