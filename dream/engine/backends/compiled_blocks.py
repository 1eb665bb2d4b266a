"""torch.compile for the blocks that a denoiser repeats; what was compiled is kept between
sessions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from dream.core.events import Note
from dream.engine.backends.comparison import MAX_DIFFERENCE, get_last_line, measure_difference
from dream.engine.backends.converted_networks import get_engines_dir
from dream.engine.backends.network_call import NetworkCall
from dream.engine.interface import ProgressCallback
from dream.engine.memory.low_memory import is_out_of_memory
from dream.engine.sampling.call_slots import replace_forward

LIMIT = 64
"""How many shapes and kinds of one block are compiled before torch runs it as it is."""


def find_blocks(denoiser: nn.Module) -> list[nn.Module]:
    """The blocks that diffusers declares as repeated; empty for models without."""
    names = set(getattr(denoiser, "_repeated_blocks", None) or ())
    return [block for block in denoiser.modules() if type(block).__name__ in names]


@dataclass
class CompiledBlocks:
    """Takes the place of a denoiser's `forward`, with its blocks compiled."""

    name: str
    """As it is called in messages."""
    denoiser: nn.Module
    compiled: dict[Any, Any]
    """The functions by the block's number, and by shapes whether their results are torch's; kept
    by the caller, and filled here."""
    report: ProgressCallback
    calls: int = 0
    """How many were answered by compiled blocks."""
    _blocks: list[nn.Module] = field(default_factory=list)
    _original: Any = None

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """While the denoiser is run by it; each block compiles when it is called first."""
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(get_engines_dir() / "inductor"))
        import torch._dynamo

        limits: Any = torch._dynamo.config
        self._blocks = find_blocks(self.denoiser)
        for number, block in enumerate(self._blocks):
            if number not in self.compiled:
                self.compiled[number] = torch.compile(block._call_impl, dynamic=True)
        self._original = self.denoiser.forward
        with replace_forward(self.denoiser, self), limits.patch(recompile_limit=LIMIT):
            yield

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the denoiser's own `forward` would return, within MAX_DIFFERENCE."""
        shapes = NetworkCall.of(self.denoiser, args, kwargs).shapes
        good = self.compiled.get(shapes)
        if good is False:
            return self._original(*args, **kwargs)
        try:
            result = self._run_compiled(*args, **kwargs)
        except Exception as error:  # its compilers raise anything
            if is_out_of_memory(error) or good:
                raise
            self._leave(shapes, get_last_line(error))
            return self._original(*args, **kwargs)
        if good is None:
            expected: Tensor = self._original(*args, **kwargs)[0]
            most = MAX_DIFFERENCE[expected.dtype]
            if not measure_difference(result[0], expected) <= most:
                self._leave(shapes, "its results are not close to torch's")
                return self._original(*args, **kwargs)
            self.compiled[shapes] = True
        self.calls += 1
        return result

    def _run_compiled(self, *args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, block in enumerate(self._blocks):
                block._compiled_call_impl = self.compiled[number]
            try:
                return self._original(*args, **kwargs)
            finally:
                for block in self._blocks:
                    block._compiled_call_impl = None

    def _leave(self, shapes: object, why: str) -> None:
        self.compiled[shapes] = False
        self.report(Note(text=f"torch.compile cannot run {self.name}: {why}; using torch for it"))
