"""The values of `--upscale_precision`."""

from __future__ import annotations

DEFAULT_PRECISION = "auto"
"""float32 on a CPU and on Apple's GPUs, on NVIDIA's float16 if the network supports it."""
BFLOAT16 = "bfloat16"
