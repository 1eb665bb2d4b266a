"""The languages of prompts, and the ways that weights act on embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

INVOKEAI, A1111, PLAIN = "invokeai", "a1111", "plain"
SYNTAXES: Mapping[str, str] = MappingProxyType(
    {
        INVOKEAI: "InvokeAI's: word++ (words)1.3 (words:1.3) [negative] .blend() .and() .swap()",
        A1111: "AUTOMATIC1111's: (more) [less] (words:1.3) [from:to:0.5] [a|b] BREAK AND",
        PLAIN: "words only, with [negative] in brackets, as dream read prompts before --syntax",
    }
)
"""The values of `--syntax`. `dream.prompt` parses them."""

NO_NORM, COMFY = "a1111_no_norm", "comfy"
WEIGHTINGS: Mapping[str, str] = MappingProxyType(
    {
        INVOKEAI: "compel's: away from the empty prompt, or towards the prompt without the words",
        A1111: "embeddings × weight, then rescaled to their original mean",
        NO_NORM: "embeddings × weight only; A1111's “No norm”, better for SDXL",
        COMFY: "ComfyUI's: interpolates between the empty prompt and the prompt",
    }
)
"""The values of `--weighting`. `engine.conditioning.weighting` computes them."""


ON, OFF = "on", "off"
WILDCARDS = (ON, OFF)
"""The values of `--wildcards`."""


def get_default_weighting(syntax: str) -> str:
    """The weighting that belongs to a syntax."""
    return A1111 if syntax == A1111 else INVOKEAI
