"""Lets embeddings stand for words of the prompt, for one image.

Tokenizer and text encoder stay as they are. A wrapper around the tokenizer returns a negative
number for each vector where a trigger is (-1 is the first vector), and a hook on the encoder's
table of tokens lays the vectors over those places. The numbers are negative because transformers
takes the highest one for the end of the text, for old models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from dream.core.errors import ModelError
from dream.core.plain_text import shorten_name
from dream.engine.adapters.embedding_file import Embedding
from dream.options.embedding_triggers import build_trigger_pattern, find_name

_ENCODERS = {"tokenizer": "text_encoder", "tokenizer_2": "text_encoder_2"}


@contextmanager
def use_embeddings(pipe: Any, embeddings: Sequence[Embedding], model: str) -> Iterator[None]:
    """The pipeline with these embeddings; undone at the end. Raises ModelError for an embedding
    that fits none of the model's text encoders."""
    if not embeddings:
        yield
        return
    with ExitStack() as undo:
        used: set[str] = set()
        for part, encoder_name in _ENCODERS.items():
            tokenizer, encoder = getattr(pipe, part, None), getattr(pipe, encoder_name, None)
            if tokenizer is None or encoder is None or not hasattr(encoder, "get_input_embeddings"):
                continue
            table = encoder.get_input_embeddings()
            width = table.weight.shape[1]
            vectors = _select(embeddings, encoder_name, width)
            used |= {name for name, rows in vectors.items() if len(rows)}
            wrapped = EmbeddingTokenizer(tokenizer, embeddings, vectors)
            # Without the pipeline's own __setattr__, which would write the class into its config.
            undo.callback(object.__setattr__, pipe, part, tokenizer)
            object.__setattr__(pipe, part, wrapped)
            for handle in _lay_over(table, torch.cat([*vectors.values()])):
                undo.callback(handle.remove)
        for embedding in embeddings:
            if embedding.name not in used:
                widths = sorted({rows.shape[1] for rows in embedding.vectors.values()})
                raise ModelError(
                    f"the embedding {shorten_name(embedding.name)} does not fit {model}: its"
                    f" vectors have {' and '.join(map(str, widths))} numbers",
                    "remove it from the prompt, or choose another --model",
                )
        yield


def _select(embeddings: Sequence[Embedding], encoder: str, width: int) -> dict[str, Tensor]:
    """The vectors for one text encoder by name; (0, width) where an embedding has none for it."""
    selected = {}
    for embedding in embeddings:
        rows = embedding.vectors.get(encoder, embedding.vectors.get(""))
        fits = rows is not None and rows.shape[1] == width
        selected[embedding.name] = rows if rows is not None and fits else torch.empty(0, width)
    return selected


def _lay_over(table: Any, vectors: Tensor) -> tuple[Any, Any]:
    """Hooks on a table of tokens: the vectors stand at negative numbers."""
    waiting: list[Tensor] = []

    def before(module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        ids, *rest = inputs
        waiting.append(ids)
        return (ids.clamp(min=0), *rest)

    def after(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        ids = waiting.pop()
        places = ids < 0
        if places.any():
            output = output.clone()
            output[places] = vectors.to(output)[(-1 - ids[places]).to(output.device)]
        return output

    return table.register_forward_pre_hook(before), table.register_forward_hook(after)


class EmbeddingTokenizer:
    """A tokenizer that knows the triggers of embeddings; everything else is the wrapped one's."""

    def __init__(
        self, tokenizer: Any, embeddings: Sequence[Embedding], vectors: Mapping[str, Tensor]
    ) -> None:
        """vectors: by the embeddings' names, in the order in which they are numbered."""
        self._tokenizer = tokenizer
        names: dict[str, str] = {}
        for embedding in embeddings:
            names |= dict.fromkeys((embedding.name, *embedding.tokens), embedding.name)
        self._triggers = tuple(names)
        self._pattern = build_trigger_pattern(self._triggers)
        self._names = names
        self._ids: dict[str, list[int]] = {}
        count = 0
        for name, rows in vectors.items():
            self._ids[name] = [-1 - number for number in range(count, count + len(rows))]
            count += len(rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, text: Any, **settings: Any) -> Any:
        """Tokens as the wrapped tokenizer returns them, negative where an embedding is."""
        texts = [text] if isinstance(text, str) else list(text)
        if settings.get("return_offsets_mapping") or not any(map(self._pattern.search, texts)):
            return self._tokenizer(text, **settings)
        from transformers import BatchEncoding

        rows = [self._encode(one, settings) for one in texts]
        longest = max(map(len, rows))
        padding = settings.get("padding", False)
        if padding == "max_length":
            longest = settings.get("max_length") or self._tokenizer.model_max_length
        if padding:
            pad = self._tokenizer.pad_token_id
            masks = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
            rows = [row + [pad] * (longest - len(row)) for row in rows]
        else:
            masks = [[1] * len(row) for row in rows]
        table: dict[str, Any] = {"input_ids": rows, "attention_mask": masks}
        if settings.get("return_tensors") == "pt":
            table = {name: torch.tensor(value) for name, value in table.items()}
        elif isinstance(text, str):
            table = {name: value[0] for name, value in table.items()}
        return BatchEncoding(table)

    def batch_decode(self, rows: Any, **settings: Any) -> Any:
        """Text of tokens; embeddings are left out."""
        return [self.decode(row, **settings) for row in rows]

    def decode(self, row: Any, **settings: Any) -> Any:
        """Text of tokens; embeddings are left out."""
        return self._tokenizer.decode([int(token) for token in row if int(token) >= 0], **settings)

    def _encode(self, text: str, settings: Mapping[str, Any]) -> list[int]:
        tokens: list[int] = []
        end = 0
        for match in self._pattern.finditer(text):
            tokens += self._plain(text[end : match.start()])
            tokens += self._ids[self._names[find_name(match, self._triggers)]]
            end = match.end()
        tokens += self._plain(text[end:])
        marks = settings.get("add_special_tokens", True)
        if settings.get("truncation"):
            limit = settings.get("max_length") or self._tokenizer.model_max_length
            tokens = tokens[: limit - 2 if marks else limit]
        if marks:
            tokens = [self._tokenizer.bos_token_id, *tokens, self._tokenizer.eos_token_id]
        return tokens

    def _plain(self, text: str) -> list[int]:
        if not text.strip():
            return []
        encoded = self._tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)
        return list(encoded.input_ids)
