"""Further rows of the table of families, for those of its models that are in several files."""

from __future__ import annotations

from types import MappingProxyType

from dream.options.family import Distilled, Family, Side, TextEncoderNeed

NEWER_FAMILIES = (
    Family(
        key="krea2",
        name="Krea 2",
        pipelines=r"Krea2",
        pipeline="Krea2",
        transformer="Krea2Transformer2DModel",
        marks=(("^txtfusion.",), ("^text_fusion.",)),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="qwen3-vl",
                widths=(
                    Side("txtmlp.1.weight", 1),
                    Side("txt_in.linear_1.weight", 1),
                ),
            ),
        ),
        vae="qwen",
        vae_names="qwen|wan",
        latents=(Side("first.weight", 1, 4), Side("img_in.weight", 1, 4)),
        scheduler=MappingProxyType(
            {
                "num_train_timesteps": 1000,
                "use_dynamic_shifting": True,
                "base_shift": 0.5,
                "max_shift": 1.15,
                "base_image_seq_len": 256,
                "max_image_seq_len": 6400,
            }
        ),
        steps=28,
        cfg_scale=4.5,
        guidance_off=0.0,
        distilled=(
            Distilled(pattern=r"turbo", steps=8, flag="is_distilled"),
            Distilled(pattern=r"(?<![a-z])(\d+)[-_ ]?steps?", steps=8, flag="is_distilled"),
        ),
        packed=True,
        space="qwen",
        decoder="taew2_1",
        hub="krea/Krea-2-Turbo",
    ),
)
"""See `family_table.FAMILIES`."""
