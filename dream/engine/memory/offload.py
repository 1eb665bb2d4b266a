"""A model larger than the GPU's memory: its weights stay in main memory and visit the GPU.

The ways are those of diffusers: part by part (`model`), layer by layer, fetched ahead (`group`),
and layer by layer when it is their turn (`sequential`), each slower than the one before.
"""

from __future__ import annotations

from typing import Any

import torch

from dream.engine.memory.device import NO_OFFLOAD

OFFLOAD_MODES = (NO_OFFLOAD, "model", "group", "sequential")
"""From the quickest to the slowest."""


def choose_mode(asked: str, device: str, need: int, largest: int, free: int) -> str:
    """Which of `WAYS` to go.

    asked: one of them, or "auto", which stays off as long as the model fits. need: bytes of all
    weights and of the work with them; largest: the same for the largest part alone; free: bytes
    of the device. Devices without memory of their own have nothing to gain.
    """
    if not device.startswith("cuda"):
        return NO_OFFLOAD
    if asked != "auto":
        return asked
    if need <= free:
        return NO_OFFLOAD
    return "model" if largest <= free else "group"


def offload(pipe: Any, way: str, device: str) -> None:
    """Let a pipeline whose weights are in main memory paint on a device."""
    match way:
        case "model":
            pipe.enable_model_cpu_offload(device=device)
        case "sequential":
            pipe.enable_sequential_cpu_offload(device=device)
        case "group":
            pipe.enable_group_offload(
                onload_device=torch.device(device),
                offload_device=torch.device("cpu"),
                offload_type="leaf_level",
                use_stream=device.startswith("cuda"),
                low_cpu_mem_usage=True,
            )
