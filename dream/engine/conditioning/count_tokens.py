"""Counts the tokens of a prompt for its model: how many chunks it makes, and what is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dream.core.recipe import Recipe
from dream.engine.conditioning.clip import find_encoders, takes_clip
from dream.engine.conditioning.text_limits import get_truncated_text, list_tokenizers
from dream.engine.conditioning.tokens import make_chunks
from dream.options.syntax_table import PLAIN
from dream.prompt import How, Prompt, parse_prompt


def describe_tokens(pipe: Any, recipe: Recipe) -> Iterator[str]:
    """A line for each part of the prompt and the negative prompt: its tokens in each chunk, as the
    pipeline's first text encoder counts them, and the words that the model does not see. Of a text
    that changes between the steps, the last one counts."""
    parsed = parse_prompt(recipe.prompt, recipe.negative, recipe.syntax)
    chunked = takes_clip(pipe) and getattr(pipe, "unet", None) is not None
    for title, prompt in (("prompt", parsed.positive), ("negative prompt", parsed.negative)):
        if not prompt.words and title != "prompt":
            continue
        if chunked and recipe.syntax != PLAIN:
            yield from _describe_chunks(pipe, title, prompt)
        else:
            yield from _describe_text(pipe, title, prompt.words)


def _describe_chunks(pipe: Any, title: str, prompt: Prompt) -> Iterator[str]:
    tokenizer = find_encoders(pipe, None)[0].tokenizer
    room = int(tokenizer.model_max_length) - 2
    for number, part in enumerate(prompt.parts, 1):
        counts = [len(chunk.tokens) for chunk in make_chunks(tokenizer, part.pieces)]
        chunks = "1 chunk" if len(counts) == 1 else f"{len(counts)} chunks"
        which = f"{title}, part {number}" if prompt.how is not How.TEXT else title
        tokens = " + ".join(map(str, counts))
        yield f"{which}: {tokens} tokens in {chunks} of {room}; nothing is cut off"


def _describe_text(pipe: Any, title: str, text: str) -> Iterator[str]:
    for _, tokenizer in list_tokenizers(pipe):
        ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        cut = get_truncated_text(pipe, text, is_negative=title != "prompt")
        end = f"; cut off: {cut}" if cut else "; nothing is cut off"
        yield f"{title}: {len(ids)} tokens{end}"
        return
