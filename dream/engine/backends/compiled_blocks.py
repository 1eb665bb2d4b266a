"""torch.compile for the blocks that a denoiser repeats; what was compiled is kept between
sessions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from dream.engine.backends.converted_networks import get_engines_dir

LIMIT = 64
"""How many shapes and kinds of one block are compiled before torch runs it as it is."""


def find_blocks(denoiser: nn.Module) -> list[nn.Module]:
    """The blocks that diffusers declares as repeated; empty for models without."""
    names = set(getattr(denoiser, "_repeated_blocks", None) or ())
    return [block for block in denoiser.modules() if type(block).__name__ in names]


@contextmanager
def use_compiled_blocks(denoiser: nn.Module, compiled: dict[int, Any]) -> Iterator[None]:
    """The denoiser with its blocks compiled; undone at the end. `compiled` has the functions by
    block, and gets those that are missing; each compiles when it is called first."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(get_engines_dir() / "inductor"))
    import torch._dynamo

    blocks = find_blocks(denoiser)
    limits: Any = torch._dynamo.config
    with limits.patch(recompile_limit=LIMIT), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, block in enumerate(blocks):
            if number not in compiled:
                compiled[number] = torch.compile(block._call_impl, dynamic=True)
            block._compiled_call_impl = compiled[number]
        try:
            yield
        finally:
            for block in blocks:
                block._compiled_call_impl = None
