"""The table of models whose denoiser sees an image beside the latents, in families whose other
models do not: its input is wider."""

from __future__ import annotations

from dream.options.family import WideModel

FLUX_WIDE = (
    WideModel(
        name="FLUX.1 Fill",
        extra=320,  # the masked image's latents, and a mask of 8 x 8 pixels for each latent
        variant="inpainting",
        pipeline="FluxFill",
        cfg_scale=30.0,
    ),
    WideModel(name="FLUX.1 Depth or Canny", extra=64),
)
