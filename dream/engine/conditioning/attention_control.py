"""Cross-attention control for `.swap()`: an edited prompt with the original's attention.

Hertz et al. 2022, Prompt-to-Prompt, arXiv:2208.01626, as in InvokeAI 2.3: the cross-attention maps
of all words that both prompts share, and the self-attention maps, are the original's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch

from dream.core.errors import ModelError


class Mode(Enum):
    """What an attention layer does with its maps."""

    OFF = "off"
    SAVE = "save"
    APPLY = "apply"


class AttentionControl:
    """The maps of one denoising step, shared by all attention layers of a UNet."""

    def __init__(self, same: Sequence[tuple[int, int]]) -> None:
        """`same` are the positions of the tokens that both prompts have: after, before."""
        self._same = same
        self._maps: dict[str, torch.Tensor] = {}
        self.mode = Mode.OFF
        self.cross = self.self_ = False
        """Which maps are the original's in this step."""

    def handles(self, is_cross: bool) -> bool:
        """Whether a layer's maps are saved or replaced now."""
        return self.mode is not Mode.OFF and (self.cross if is_cross else self.self_)

    def control(self, name: str, probs: torch.Tensor, *, is_cross: bool) -> torch.Tensor:
        """Save a layer's maps (heads, queries, tokens), or replace them."""
        if self.mode is Mode.SAVE:
            self._maps[name] = probs
            return probs
        saved = self._maps.pop(name)
        if not is_cross:
            return saved
        after, before = (list(places) for places in zip(*self._same, strict=True))
        mixed = probs.clone()
        mixed[..., after] = saved[..., before]
        return mixed

    @contextmanager
    def over(self, unet: Any) -> Iterator[None]:
        """While the UNet's attention layers obey it."""
        layers = {
            name: module
            for name, module in unet.named_modules()
            if name.endswith(("attn1", "attn2")) and hasattr(module, "processor")
        }
        own = {name: layer.processor for name, layer in layers.items()}
        try:
            for name, layer in layers.items():
                layer.set_processor(_Processor(self, name, own[name]))
            yield
        finally:
            for name, layer in layers.items():
                layer.set_processor(own[name])
            self._maps.clear()


class _Processor:
    """One layer's: its own, or with its maps in sight."""

    def __init__(self, control: AttentionControl, name: str, own: Any) -> None:
        self._control, self._name, self._own = control, name, own

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        is_cross = self._name.endswith("attn2")
        if not self._control.handles(is_cross):
            attended: torch.Tensor = self._own(
                attn, hidden_states, encoder_hidden_states, attention_mask, *args, **kwargs
            )
            return attended
        if isinstance(encoder_hidden_states, tuple):  # with tokens of images
            raise ModelError(
                ".swap() is not supported with --image_prompt", "remove one of them from the line"
            )
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(context))
        value = attn.head_to_batch_dim(attn.to_v(context))
        probs = attn.get_attention_scores(query, key, attention_mask)
        probs = self._control.control(self._name, probs, is_cross=is_cross)
        out = attn.batch_to_head_dim(torch.bmm(probs, value))
        for layer in attn.to_out:
            out = layer(out)
        return out / attn.rescale_output_factor  # type: ignore[no-any-return]
