"""What a model hears of a prompt: at most so many tokens, 77 for CLIP; and how it weighs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter
from typing import Any

PromptArgs = Mapping[str, str | float]
"""The texts and their weight, by the names of a pipeline's arguments."""

NO_LIMIT = 100_000
"""Tokenizers without a limit say so by a huge number."""


def build_prompt_args(
    takes: Mapping[str, Parameter], positive: str, negative: str, cfg_scale: float
) -> PromptArgs:
    """The texts as a pipeline that takes these arguments wants them, and the guidance.

    Where two arguments speak of guidance, `guidance_scale` is a number that the network was
    trained to be told (Flux: Meng et al. 2023, arXiv:2210.03142), and negative words go unheard;
    unless it is left out (Qwen-Image): then the other is that of Ho and Salimans 2022,
    arXiv:2207.12598, and wants a negative prompt, if only a blank.
    """
    words: dict[str, str | float] = {"prompt": positive}
    told = takes.get("guidance_scale")
    if "true_cfg_scale" in takes and (told is None or told.default is None):
        return words | {"true_cfg_scale": cfg_scale, "negative_prompt": negative or " "}
    words["guidance_scale"] = cfg_scale
    if negative and "negative_prompt" in takes and "true_cfg_scale" not in takes:
        words["negative_prompt"] = negative
    return words


def get_truncated_text(pipe: Any, text: str) -> str:
    """The end of the text that no text encoder of the pipeline gets to hear; empty if none."""
    return min((_dropped(tokenizer, text) for tokenizer in _tokenizers(pipe)), key=len, default="")


def _tokenizers(pipe: Any) -> Iterator[Any]:
    for name, part in pipe.components.items():
        if name.startswith("tokenizer") and part is not None:
            yield part


def _dropped(tokenizer: Any, text: str) -> str:
    limit = tokenizer.model_max_length
    if limit > NO_LIMIT or len(text.encode()) < limit - 2:  # a token is at least one byte
        return ""
    coded = tokenizer(text, truncation=False, return_offsets_mapping=True, verbose=False)
    # The last place within the limit belongs to the end token, so the words end one before it.
    spans = coded["offset_mapping"][limit - 1 : -1]
    return text[spans[0][0] :].strip() if len(coded["input_ids"]) > limit else ""
