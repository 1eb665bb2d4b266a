"""What a text encoder hears of a prompt: at most so many tokens, 77 for CLIP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ENDLESS = 100_000
"""Tokenizers without a limit say so by a huge number."""


def unheard(pipe: Any, text: str) -> str:
    """The end of the text that no text encoder of the pipeline gets to hear; empty if none."""
    return min((_dropped(tokenizer, text) for tokenizer in _tokenizers(pipe)), key=len, default="")


def _tokenizers(pipe: Any) -> Iterator[Any]:
    for name, part in pipe.components.items():
        if name.startswith("tokenizer") and part is not None:
            yield part


def _dropped(tokenizer: Any, text: str) -> str:
    limit = tokenizer.model_max_length
    if limit > ENDLESS or len(text.encode()) < limit - 2:  # a token is at least one byte
        return ""
    coded = tokenizer(text, truncation=False, return_offsets_mapping=True, verbose=False)
    # The last place within the limit belongs to the end token, so the words end one before it.
    spans = coded["offset_mapping"][limit - 1 : -1]
    return text[spans[0][0] :].strip() if len(coded["input_ids"]) > limit else ""
