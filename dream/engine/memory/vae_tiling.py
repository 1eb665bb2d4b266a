"""A picture too large for the VAE to decode at once is decoded in tiles: decided beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers import AutoencoderKL

from dream.core.events import Note
from dream.engine.interface import ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory import low_memory as memory

PEAK_ACTIVATION_FACTOR = 2.7
"""How many times a VAE holds the last but one level's channels of a whole picture at once, on a
CPU. Measured at 256x256 to 768x512 with Stable Diffusion 1.5's (256 channels) in bfloat16: 1331
bytes for each pixel, and about 85 MiB besides; in float32 twice as much."""

PEAK_ACTIVATION_FACTOR_GPU = 8.5
"""The same on a GPU, where a convolution takes room to work: ComfyUI's 2178 numbers for a pixel."""

FIXED_OVERHEAD = 160 * 2**20
"""Bytes, whatever the size."""

FACT = {"memory": "VAE in tiles"}
"""In a picture's facts, for tiles are not the same pixels."""

_GIB = 2**30


def estimate_decode_peak(pipe: Any, device: str, width: int, height: int) -> int:
    """Bytes that decoding a picture of so many pixels takes a pipeline at its peak."""
    vae = pipe.vae
    channels = vae.config.block_out_channels[:2][-1]
    # Any VAE's configuration may ask for float32, and mostly does by default; heard it is by the
    # pipelines that have a method for it: SDXL's and those made after them.
    upcasts = vae.config.force_upcast and hasattr(pipe, "upcast_vae")
    halves = vae.dtype.itemsize == 2 and not upcasts
    alive = PEAK_ACTIVATION_FACTOR if device == "cpu" else PEAK_ACTIVATION_FACTOR_GPU
    return FIXED_OVERHEAD + int(alive * channels * (2 if halves else 4) * width * height)


@contextmanager
def tile_if_needed(
    loaded: LoadedModel, width: int, height: int, tell: ProgressCallback
) -> Iterator[dict[str, str]]:
    """The model with its VAE in tiles, where a picture of so many pixels would not fit into what
    is free; as it was, afterwards. Gives the facts that this adds to the picture, and tells it."""
    vae, device = getattr(loaded.pipe, "vae", None), loaded.placement.device
    if not isinstance(vae, AutoencoderKL) or max(width, height) <= vae.tile_sample_min_size:
        yield {}
        return
    need, free = (
        estimate_decode_peak(loaded.pipe, device, width, height),
        memory.measure_free_memory(device),
    )
    if need <= free:
        yield {}
        return
    takes = f"decoding {width}x{height} pixels needs {need / _GIB:.1f} GiB"
    tell(Note(text=f"{takes}, but {free / _GIB:.1f} GiB are free; the VAE decodes in tiles"))
    vae.enable_tiling()
    try:
        yield FACT
    finally:
        vae.disable_tiling()
