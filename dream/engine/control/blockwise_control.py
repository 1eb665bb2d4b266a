"""DiffSynth's ControlNets of Qwen-Image, which add to each block's output while the model computes
it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from dream.core.errors import ModelError
from dream.engine.control.qwen_control import QwenImageControl
from dream.engine.control.transformer_control import Additions, Call


class BlockwiseControl(QwenImageControl):
    """See the module. It sees what InstantX's see."""

    def compute(self, call: Call) -> Additions:
        """Nothing before the model's call."""
        return {}

    @contextmanager
    def during(self) -> Iterator[None]:
        """See the base class. The blocks' first states are those of the new image; images that the
        model edits come after them."""
        blocks, layers = self.pipe.transformer.transformer_blocks, self.net.controlnet_blocks
        if len(blocks) != len(layers):
            raise ModelError(
                f"{self.active.loaded.info.name} does not fit: it is for {len(layers)} blocks, the"
                f" model has {len(blocks)}",
                "choose another --control_model",
            )
        embedded = self.net.embed(self.condition)
        with ExitStack() as stack:
            for number, block in enumerate(blocks):
                hook = block.register_forward_hook(partial(self._add, number, embedded))
                stack.callback(hook.remove)
            yield

    def _add(
        self, number: int, embedded: torch.Tensor, _: Any, __: Any, output: tuple[Any, torch.Tensor]
    ) -> tuple[Any, torch.Tensor]:
        """The block's output, which is that for the text and that for the image (b, n, width)."""
        text, states = output
        length = embedded.shape[1]
        own = states[:, :length]
        added = self.net.compute(number, own.to(self.device, self.dtype), embedded)
        own = own + (added * self.active.control.weight).to(own)
        return text, torch.cat([own, states[:, length:]], dim=1)
