"""Decodes an image in tiles when it is too large for the VAE to decode at once; decided before it
starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers import AutoencoderKL

from dream.core.events import Note
from dream.core.recipe import Recipe
from dream.engine.interface import ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory import low_memory as memory

PEAK_ACTIVATION_FACTOR = 2.7
"""How many copies of the last but one level's channels of a whole image a VAE holds at once, on a
CPU. Measured at 256x256 to 768x512 with Stable Diffusion 1.5's (256 channels) in bfloat16: 1331
bytes for each pixel, and about 85 MiB more; in float32 twice as much."""

PEAK_ACTIVATION_FACTOR_GPU = 8.5
"""The same on a GPU, where a convolution needs a workspace: ComfyUI's 2178 numbers for a pixel."""

FIXED_OVERHEAD = 160 * 2**20
"""Bytes, for any size."""

FACT = {"memory": "VAE in tiles"}
"""In an image's facts, because tiles do not give the same pixels."""

_GIB = 2**30


def estimate_decode_peak(pipe: Any, device: str, width: int, height: int) -> int:
    """Peak bytes that a pipeline needs to decode an image of this size in pixels."""
    vae = pipe.vae
    channels = vae.config.block_out_channels[:2][-1]
    # A VAE's configuration may request float32, and mostly does by default; only pipelines with a
    # method for it do so: SDXL's and later ones.
    upcasts = vae.config.force_upcast and hasattr(pipe, "upcast_vae")
    halves = vae.dtype.itemsize == 2 and not upcasts
    alive = PEAK_ACTIVATION_FACTOR if device == "cpu" else PEAK_ACTIVATION_FACTOR_GPU
    return FIXED_OVERHEAD + int(alive * channels * (2 if halves else 4) * width * height)


@contextmanager
def tile_if_needed(
    loaded: LoadedModel, recipe: Recipe, report: ProgressCallback
) -> Iterator[dict[str, str]]:
    """The model with VAE tiling where decoding the recipe's image would not fit into free memory;
    undone afterwards. Yields the facts that this adds to the image, and reports a Note. A small
    decoder needs no tiles."""
    width, height = recipe.width, recipe.height
    vae, device = getattr(loaded.pipe, "vae", None), loaded.placement.device
    if (
        recipe.decoder
        or not isinstance(vae, AutoencoderKL)
        or max(width, height) <= vae.tile_sample_min_size
    ):
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
    report(Note(text=f"{takes}, but {free / _GIB:.1f} GiB are free; the VAE decodes in tiles"))
    vae.enable_tiling()
    try:
        yield FACT
    finally:
        vae.disable_tiling()
