"""InvokeAI's weighted subprompts from before `.blend()`: `tabby cat:0.25 white duck:0.75`."""

from __future__ import annotations

import re

_PART = re.compile(r"((?:\\:|[^:])+)(?::+(-?\d+(?:\.\d+)?)?\s*|\Z)")


def convert_legacy_blend(prompt: str) -> str:
    """An old line's prompt as it is written today: a `.blend()` if any colon is in it, as
    InvokeAI 2.3 understood it; else unchanged. Weights that add up to 0 are equal."""
    parts = [(match[1].strip(), match[2]) for match in _PART.finditer(prompt)]
    if ":" not in prompt.replace("\\:", "") or len(parts) < 2:
        return prompt
    weights = [float(weight or 1) for _, weight in parts]
    if abs(sum(weights)) < 1e-9:
        weights = [1.0] * len(parts)
    texts = ", ".join(f'"{_quotable(text)}"' for text, _ in parts)
    return f"({texts}).blend({', '.join(f'{weight:g}' for weight in weights)})"


def _quotable(text: str) -> str:
    return re.sub(r'(?<!\\)"', r"\\\"", text.replace("\\:", ":"))
