"""The texts and the guidance of a prompt as the arguments of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter

PromptArgs = Mapping[str, str | float]
"""The texts and the guidance, by the names of a pipeline's arguments."""


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
