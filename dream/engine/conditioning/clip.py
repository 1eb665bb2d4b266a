"""The text encoders of Stable Diffusion 1, 2 and XL, one layer of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dream.core.errors import ModelError
from dream.engine.conditioning.tokens import TokenChunk


@dataclass(frozen=True)
class ClipEncoder:
    """A CLIP text encoder with its tokenizer."""

    tokenizer: Any
    model: Any
    layer: int
    """Counted from the end: 1 is the last one, with the final norm. XL takes 2, without it."""
    normed: bool
    """Whether the final norm follows."""
    device: Any
    """Where it runs, even while its weights are offloaded."""

    def encode(self, chunk: TokenChunk, without: list[int]) -> torch.Tensor:
        """The hidden states (1, length, width) of a chunk; nothing attends to the tokens with the
        indices `without`."""
        out = self._run(chunk, without)
        if self.layer == 1 and self.normed:
            last: torch.Tensor = out.last_hidden_state
            return last
        hidden: torch.Tensor = out.hidden_states[-self.layer]
        if self.normed:
            hidden = self._norm()(hidden)
        return hidden

    def pool(self, chunk: TokenChunk) -> torch.Tensor | None:
        """The projected state (1, width) of the end mark; None for an encoder without it."""
        pooled: torch.Tensor | None = getattr(self._run(chunk, []), "text_embeds", None)
        return pooled

    def _run(self, chunk: TokenChunk, without: list[int]) -> Any:
        device = self.device
        ids = chunk.list_ids(self.tokenizer)
        mask = None
        if without or getattr(self.model.config, "use_attention_mask", False):
            mask = torch.ones(1, len(ids), dtype=torch.long, device=device)
            if getattr(self.model.config, "use_attention_mask", False):
                mask[0, len(chunk.tokens) + 2 :] = 0
            mask[0, without] = 0
        return self.model(
            torch.tensor([ids], device=device),
            attention_mask=mask,
            output_hidden_states=self.layer != 1 or not self.normed,
        )

    def _norm(self) -> Any:
        inner = getattr(self.model, "text_model", self.model)
        return inner.final_layer_norm


def find_encoders(pipe: Any, clip_skip: int | None) -> list[ClipEncoder]:
    """The CLIP encoders of a pipeline, in the order in which their states are joined; none for
    other families. `clip_skip` counts as in A1111, which ignores it for 2 and XL.

    Raises ModelError for more layers than there are.
    """
    if getattr(pipe, "unet", None) is None or not takes_clip(pipe):
        return []
    device = pipe._execution_device
    xl = getattr(pipe, "text_encoder_2", None) is not None
    pairs = [(pipe.tokenizer, pipe.text_encoder)] if getattr(pipe, "text_encoder", None) else []
    if xl:
        pairs.append((pipe.tokenizer_2, pipe.text_encoder_2))
        return [ClipEncoder(tokenizer, model, 2, False, device) for tokenizer, model in pairs]
    layer = clip_skip or 1
    layers = pairs[0][1].config.num_hidden_layers
    if layer > layers:
        raise ModelError(f"--clip_skip {layer} is too large: the text encoder has {layers} layers")
    return [ClipEncoder(tokenizer, model, layer, True, device) for tokenizer, model in pairs]


def takes_clip(pipe: Any) -> bool:
    """Whether a pipeline's text encoders are CLIP's alone."""
    encoders = [
        getattr(pipe, name, None) for name in ("text_encoder", "text_encoder_2", "text_encoder_3")
    ]
    names = [type(encoder).__name__ for encoder in encoders if encoder is not None]
    return bool(names) and set(names) <= {"CLIPTextModel", "CLIPTextModelWithProjection"}
