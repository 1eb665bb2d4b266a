"""Runs a model larger than the GPU's memory: its weights stay in main memory and are copied to the
GPU when needed.

The modes are those of diffusers: by component (`model`), by layer, prefetched (`group`), and by
layer when it is needed (`sequential`), each slower than the one before.
"""

from __future__ import annotations

from typing import Any

import torch

from dream.engine.memory.device import NO_OFFLOAD

OFFLOAD_MODES = (NO_OFFLOAD, "model", "group", "sequential")
"""From the fastest to the slowest."""


def choose_mode(requested: str, device: str, need: int, largest: int, free: int) -> str:
    """Choose one of `OFFLOAD_MODES`.

    requested: one of them, or "auto", which stays off as long as the model fits. need: bytes of all
    weights and of the work with them; largest: the same for the largest component alone; free:
    bytes of the device. Devices without memory of their own gain nothing from offloading.
    """
    if not device.startswith("cuda"):
        return NO_OFFLOAD
    if requested != "auto":
        return requested
    if need <= free:
        return NO_OFFLOAD
    return "model" if largest <= free else "group"


def offload(pipe: Any, mode: str, device: str) -> None:
    """Let a pipeline whose weights are in main memory run on a device."""
    match mode:
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
