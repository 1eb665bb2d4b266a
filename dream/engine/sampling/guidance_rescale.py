"""Guidance rescale: Lin et al. 2023, arXiv:2305.08891, section 3.4, equations 14 to 16. What
guidance made of the network's output is brought back towards the spread of the output for the words
alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter
from typing import Any

import torch

from dream.engine.loading.pipelines import LoadedModel
from dream.options.family_table import get_family


def supports_rescale(loaded: LoadedModel, takes: Mapping[str, Parameter]) -> bool:
    """Whether guidance can be rescaled: by the pipeline, which takes these arguments, or here."""
    return "guidance_rescale" in takes or get_family(loaded.info.family).stable


@contextmanager
def rescale_guidance(pipe: Any, share: float, cfg_scale: float) -> Iterator[None]:
    """For a pipeline that has no `guidance_rescale` of its own, such as those of Stable Diffusion
    1 and 2 that begin from a picture. `share` is φ, 0 to 1; 0 changes nothing.

    The guided output is linear in the two that it is made of, so both are multiplied by what it
    is to be multiplied by.
    """
    if not share:
        yield
        return

    def rescale(unet: Any, asked: Any, answer: Any) -> Any:
        if not pipe.do_classifier_free_guidance:
            return answer
        outputs, *rest = answer
        return (outputs * compute_factor(outputs, share, cfg_scale).to(outputs), *rest)

    handle = pipe.unet.register_forward_hook(rescale)
    try:
        yield
    finally:
        handle.remove()


def compute_factor(outputs: torch.Tensor, share: float, cfg_scale: float) -> torch.Tensor:
    """By what the guided output is multiplied. `outputs` (2, C, h, w): without the words, and with
    them."""
    without, with_words = outputs.float().chunk(2)
    guided = without + cfg_scale * (with_words - without)
    return share * with_words.std() / guided.std() + (1 - share)
