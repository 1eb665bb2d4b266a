"""Whether the result of an engine is torch's, but for rounding."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_DIFFERENCE = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}
"""Of a result from torch's, as root mean squares, relative to torch's."""


def measure_difference(result: Tensor, expected: Tensor) -> float:
    """The root mean square of the difference, relative to that of what is expected; infinite for
    another shape, or for values that are not finite."""
    if result.shape != expected.shape:
        return float("inf")
    one, other = result.double(), expected.double()
    size = float(other.square().mean().sqrt())
    difference = float((one - other).square().mean().sqrt())
    return difference / max(size, 1e-12) if difference == difference else float("inf")


def get_last_line(error: Exception) -> str:
    """What an error of a library says, in one line: the last that is not empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
