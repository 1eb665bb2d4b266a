"""Weights in InvokeAI's language give the embeddings that compel computes, where it works."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dream.engine.conditioning.cache import EncodingCache
from dream.engine.conditioning.encode import PromptEncoder
from dream.engine.silence_libraries import silence_libraries
from dream.options.syntax_table import INVOKEAI
from dream.prompt import parse_prompt
from tests.random_layouts import make_layout

compel = pytest.importorskip("compel")
PROMPTS = (
    "a red circle on blue",
    "a red++ circle on blue",
    "a red circle on (blue)0.5",
    "a (red circle)1.3 on blue-",
    "a ((red)1.2 circle)1.2 on blue--",
    "(a red circle)0 on blue",
    '("a red circle", "a blue square").blend(1, 3)',
    '("a red circle", "a blue square").blend(0.7, 0.7, no_normalize)',
    '("a red circle", "on blue").and()',
    "",
)


def make_compel(pipe: Any) -> Any:
    """As InvokeAI and diffusers' documentation set it up."""
    if not hasattr(pipe, "text_encoder_2"):
        return compel.Compel(tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder)
    kind = compel.ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
    return compel.Compel(
        tokenizer=[pipe.tokenizer, pipe.tokenizer_2],
        text_encoder=[pipe.text_encoder, pipe.text_encoder_2],
        returned_embeddings_type=kind,
        requires_pooled=[False, True],
    )


@pytest.mark.parametrize("layout", ["sd1", "sdxl"])
def test_the_embeddings_are_those_of_compel(layout: str) -> None:
    pipe = make_layout(layout)
    encoder = PromptEncoder(pipe, INVOKEAI, None, EncodingCache())
    with silence_libraries(), torch.no_grad():
        reference = make_compel(pipe)
        for prompt in PROMPTS:
            if layout == "sdxl" and ".blend(" in prompt:  # there compel 2.5 raises TypeError
                continue
            its = reference(prompt)
            its = its[0] if isinstance(its, tuple) else its
            mine = encoder.encode_prompt(parse_prompt(prompt, "", INVOKEAI).positive).embeds
            assert mine.shape == its.shape, prompt
            assert (mine - its).abs().max() <= 1e-5 * max(1.0, float(its.abs().max())), prompt
