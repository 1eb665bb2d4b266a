"""Too little memory: how it shows, and how to render with less of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch

T = TypeVar("T")

SIGNS = ("not enough memory", "can't allocate memory", "out of memory")
"""In the words of torch's allocators for CPU (Linux, Windows), Apple's GPU and CUDA."""


def attempt(work: Callable[[], T]) -> T | None:
    """What the work makes; None when memory ran out. Other errors pass.

    Only after the `except` are the traceback and every tensor it holds let go of, and their memory
    can be given back.
    """
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    give_back_memory()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def give_back_memory() -> None:
    """Free what is no longer referenced, on the host and on the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


@contextmanager
def thrifty(pipe: Any) -> Iterator[None]:
    """The pipeline with attention in slices, and the VAE in slices and tiles; undone at the end.

    Slower, and not the same bits. Pipelines and VAEs that know no such thing stay as they are.
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
