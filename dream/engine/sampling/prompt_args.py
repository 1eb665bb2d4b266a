"""What a model takes of a prompt: a limited number of tokens, 77 for CLIP; and its guidance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter
from typing import Any

PromptArgs = Mapping[str, str | float]
"""The texts and the guidance, by the names of a pipeline's arguments."""

NO_LIMIT = 100_000
"""Tokenizers without a limit report a huge number."""


def build_prompt_args(
    accepted: Mapping[str, Parameter],
    positive: str,
    negative: str,
    cfg_scale: float,
    off: float = 1.0,
) -> PromptArgs:
    """The texts and the guidance for a pipeline with these arguments; `off` is the guidance at
    which it computes none, which -C1 means.

    Where two arguments set guidance, `guidance_scale` is a number that the network was trained on
    as an input (Flux: Meng et al. 2023, arXiv:2210.03142), and negative prompts are ignored; unless
    it is optional (Qwen-Image): then the other is that of Ho and Salimans 2022, arXiv:2207.12598,
    and needs a negative prompt, if only a blank.
    """
    words: dict[str, str | float] = {"prompt": positive}
    guidance = accepted.get("guidance_scale")
    if "true_cfg_scale" in accepted and (guidance is None or guidance.default is None):
        return words | {"true_cfg_scale": cfg_scale, "negative_prompt": negative or " "}
    words["guidance_scale"] = off if cfg_scale <= 1 else cfg_scale
    if negative and "negative_prompt" in accepted and "true_cfg_scale" not in accepted:
        words["negative_prompt"] = negative
    return words


def get_truncated_text(pipe: Any, text: str) -> str:
    """The end of the text that no text encoder of the pipeline takes; empty if none."""
    return min(
        (_truncated_end(tokenizer, text) for tokenizer in list_tokenizers(pipe)),
        key=len,
        default="",
    )


def list_tokenizers(pipe: Any) -> Iterator[Any]:
    """The tokenizers of a pipeline, in its order."""
    for name, part in pipe.components.items():
        if name.startswith("tokenizer") and part is not None:
            # FLUX.2 dev has a processor in its place; Kolors' own has another in it
            yield part if hasattr(part, "model_max_length") else part.tokenizer


def _truncated_end(tokenizer: Any, text: str) -> str:
    limit = tokenizer.model_max_length
    if limit > NO_LIMIT or len(text.encode()) < limit - 2:  # a token is at least one byte
        return ""
    coded = tokenizer(text, truncation=False, return_offsets_mapping=True, verbose=False)
    # The last place within the limit belongs to the end token, so the words end one before it.
    spans = coded["offset_mapping"][limit - 1 : -1]
    return text[spans[0][0] :].strip() if len(coded["input_ids"]) > limit else ""
