"""Weights in prompts with the text encoders of newer families: T5, UMT5, BERT beside T5, and all
three of Stable Diffusion 3; as ComfyUI weighs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.engine.conditioning.token_weights import find_weighable, read_weights, weigh_tokens
from dream.options.syntax_table import INVOKEAI
from dream.prompt import parse_prompt
from tests.random_families import t5, t5_tokenizer
from tests.random_layouts import make_sd3
from tests.random_others import make_hunyuan_dit
from tests.random_split_newer import make_auraflow

LENGTH = 24
CLIP = [1.0, 0.5, 1.3]
"""The start mark, "a", "red"; all others have 1."""
T5 = [0.5, 0.5, 1.3, 1.3, 1.3, 1.3]
"""Its letters are tokens, and so is the beginning of each word."""
BERT = [1.0, 0.5, 1.3, 1.3, 1.3]
UMT5 = [1.0] * 11 + [0.5, 0.5, 0.5, 1.3, 1.3, 1.3]
"""Padded at the left. A space is a token, and belongs to the word before it."""


def sd3_with_t5(folder: Path) -> Any:
    pipe = make_sd3()
    pipe.register_modules(text_encoder_3=t5(), tokenizer_3=t5_tokenizer())
    return pipe


FAMILIES: dict[str, tuple[Callable[[Path], Any], dict[str, list[float]]]] = {
    "auraflow": (make_auraflow, {"": UMT5}),
    "hunyuan-dit": (make_hunyuan_dit, {"": BERT, "_2": T5}),
    "sd3": (sd3_with_t5, {"": CLIP, "_2": CLIP, "_3": T5}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_encoder_moves_its_tokens(family: str, tmp_path: Path) -> None:
    make, factors = FAMILIES[family]
    pipe = make(tmp_path)
    names = ["text_encoder" + suffix for suffix in factors]
    assert [one for one, _ in find_weighable(pipe)] == [getattr(pipe, name) for name in names]
    weighed = read_weights(parse_prompt("(a)0.5 (red)1.3 circle", "", INVOKEAI).positive)
    for suffix, begins in factors.items():
        encoder = getattr(pipe, f"text_encoder{suffix}").eval()
        tokenizer = getattr(pipe, f"tokenizer{suffix}")
        run = partial(read_states, tokenizer, encoder, suffix != "_3" and family == "sd3")
        z, e = run("a red circle"), run("")
        m = torch.tensor(begins + [1.0] * (LENGTH - len(begins)))[None, :, None]
        with weigh_tokens(pipe, (weighed,)):
            made, other = run("a red circle"), run("a blue square")
        assert torch.allclose(made, e + (z - e) * m, atol=1e-5), suffix
        assert not torch.allclose(made, z, atol=1e-3), suffix
        assert torch.equal(other, run("a blue square")), suffix


@torch.no_grad()
def read_states(tokenizer: Any, encoder: Any, is_clip: bool, text: str) -> torch.Tensor:
    """What its pipeline takes: (1, LENGTH, width)."""
    coded = tokenizer(text, padding="max_length", max_length=LENGTH, return_tensors="pt")
    out = encoder(coded.input_ids, output_hidden_states=True)
    states: torch.Tensor = out.hidden_states[-2] if is_clip else out.last_hidden_state
    return states
