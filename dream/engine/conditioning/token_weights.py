"""Applies weights where a pipeline encodes the words itself: with T5, and in Stable Diffusion 3
also with CLIP, as ComfyUI does it (`comfy/sd1_clip.py`): a token's state moves away from its state
in the empty prompt, or towards it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from dream.prompt import Fragment, How, Prompt

_STATES = {
    "T5EncoderModel": -1,
    "UMT5EncoderModel": -1,
    "BertModel": -1,
    "CLIPTextModelWithProjection": -2,
}
"""Which of an encoder's states its pipelines use, by class: the last one, or that before it."""


@dataclass(frozen=True)
class WeighedText:
    """A text as the pipeline gets it, with the weight of each character."""

    text: str
    weights: tuple[float, ...]


def read_weights(prompt: Prompt) -> WeighedText:
    """The words of a prompt with their weights. Only for one text of fragments and breaks."""
    assert prompt.how is How.TEXT
    text, weights = "", []
    for piece in prompt.parts[0].pieces:
        said, weight = (piece.text, piece.weight) if isinstance(piece, Fragment) else (" ", 1.0)
        text += said
        weights += [weight] * len(said)
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return WeighedText(text[start:end], tuple(weights[start:end]))


def find_weighable(pipe: Any) -> list[tuple[Any, Any]]:
    """The text encoders, each with its tokenizer, that weights act on; none if one of the
    pipeline's other encoders makes embeddings of its own kind, such as a language model."""
    pairs = []
    for name, part in pipe.components.items():
        if name.startswith("text_encoder") and part is not None:
            tokenizer = getattr(pipe, name.replace("text_encoder", "tokenizer"), None)
            if type(part).__name__ == "CLIPTextModel":
                continue  # only its pooled vector is used, which has no weights
            if type(part).__name__ not in _STATES or not getattr(tokenizer, "is_fast", False):
                return []
            pairs.append((part, tokenizer))
    return pairs


@contextmanager
def weigh_tokens(pipe: Any, texts: tuple[WeighedText, ...]) -> Iterator[None]:
    """While the pipeline's text encoders return weighed states for these texts."""
    with ExitStack() as stack:
        for encoder, tokenizer in find_weighable(pipe) if texts else ():
            hook = _Hook(tokenizer, texts, _STATES[type(encoder).__name__])
            handle = encoder.register_forward_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield


class _Hook:
    """Replaces what an encoder returns."""

    def __init__(self, tokenizer: Any, texts: tuple[WeighedText, ...], state: int) -> None:
        self._tokenizer, self._texts, self._state = tokenizer, texts, state
        self._is_inside = False

    def __call__(self, module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if self._is_inside:
            return output
        ids = args[0] if args else kwargs["input_ids"]
        rows = [self._find_weights(row.tolist()) for row in ids]
        if all(row is None for row in rows):
            return output
        ones = [1.0] * ids.shape[1]
        factors = torch.tensor([row or ones for row in rows], device=ids.device)[..., None]
        others = {name: value for name, value in kwargs.items() if name != "input_ids"}
        self._is_inside = True
        try:
            empty = self._encode_empty(module, ids, others)
        finally:
            self._is_inside = False
        z, e = self._get(output).float(), self._get(empty).float()
        weighed = torch.where(factors == 1, z, e + (z - e) * factors)
        self._set(output, weighed.to(self._get(output)))
        return output

    def _find_weights(self, row: list[int]) -> list[float] | None:
        """The weight of each token of a row; None if it is not one of the texts."""
        for weighed in self._texts:
            for text in dict.fromkeys((weighed.text, weighed.text.lower())):  # PixArt's is lower
                coded = self._tokenize(text, len(row), return_offsets_mapping=True)
                if coded.input_ids == row and len(text) == len(weighed.text):
                    return [
                        weighed.weights[end - 1] if end else 1.0
                        for _, end in coded["offset_mapping"]
                    ]
        return None

    def _tokenize(self, text: str, length: int, **options: Any) -> Any:
        return self._tokenizer(
            text, padding="max_length", max_length=length, truncation=True, verbose=False, **options
        )

    def _encode_empty(self, module: Any, ids: torch.Tensor, kwargs: dict[str, Any]) -> Any:
        coded = self._tokenize("", ids.shape[1])
        if kwargs.get("attention_mask") is not None:
            mask = torch.tensor([coded.attention_mask]).to(kwargs["attention_mask"])
            kwargs = {**kwargs, "attention_mask": mask}
        return module(torch.tensor([coded.input_ids]).to(ids), **kwargs)

    def _get(self, output: Any) -> torch.Tensor:
        state = output.last_hidden_state if self._state == -1 else output.hidden_states[self._state]
        assert isinstance(state, torch.Tensor)
        return state

    def _set(self, output: Any, state: torch.Tensor) -> None:
        if self._state == -1:
            output.last_hidden_state = state
        else:
            states = list(output.hidden_states)
            states[self._state] = state
            output.hidden_states = tuple(states)
