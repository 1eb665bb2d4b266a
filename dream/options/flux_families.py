"""Rows of the table of families: those of Black Forest Labs."""

from __future__ import annotations

from types import MappingProxyType

from dream.options.distilled_table import FEW_STEPS
from dream.options.editor_table import FLUX_EDITORS
from dream.options.family import Distilled, Family, Side, TextEncoderNeed
from dream.options.wide_table import FLUX_WIDE

FLOW = MappingProxyType({"num_train_timesteps": 1000})
"""Settings of the schedulers of flow matching."""
_FLUX_SHIFT = MappingProxyType(
    {
        **FLOW,
        "shift": 3.0,
        "use_dynamic_shifting": True,
        "base_shift": 0.5,
        "max_shift": 1.15,
        "base_image_seq_len": 256,
        "max_image_seq_len": 4096,
    }
)

_CLIP_L = TextEncoderNeed(
    part="text_encoder",
    kind="clip",
    widths=(
        Side("vector_in.in_layer.weight", 1),
        Side("time_text_embed.text_embedder.linear_1.weight", 1),
    ),
)
_T5_OF_FLUX = TextEncoderNeed(
    part="text_encoder_2",
    kind="t5",
    widths=(Side("txt_in.weight", 1), Side("context_embedder.weight", 1)),
)

_FLUX2_WIDTHS = (Side("txt_in.weight", 1, 3), Side("context_embedder.weight", 1, 3))
"""Three layers of the text encoder side by side."""
_FLUX2_LATENTS = (Side("img_in.weight", 1, 4), Side("x_embedder.weight", 1, 4))
_FLUX2_SHIFT = MappingProxyType({**_FLUX_SHIFT, "time_shift_type": "exponential"})

FLUX_FAMILIES = (
    Family(
        key="flux",
        name="FLUX.1, FLUX.1 Kontext, FLUX.1 Fill",
        pipelines=r"Flux(Img2Img|Inpaint|Fill|Kontext|KontextInpaint)?",
        pipeline="Flux",
        transformer="FluxTransformer2DModel",
        marks=(
            ("^double_blocks.0.",),
            ("^single_transformer_blocks.0.", "^time_text_embed.text_embedder."),
        ),
        encoders=(_CLIP_L, _T5_OF_FLUX),
        vae="kl",
        latents=(Side("final_layer.linear.weight", 0, 4), Side("proj_out.weight", 0, 4)),
        inputs=(Side("img_in.weight", 1), Side("x_embedder.weight", 1)),
        wide=FLUX_WIDE,
        scheduler=_FLUX_SHIFT,
        cfg_scale=3.5,
        negative=False,
        distilled=(
            Distilled(
                pattern=r"schnell",
                steps=4,
                lacks=(
                    "guidance_in.in_layer.weight",
                    "time_text_embed.guidance_embedder.linear_1.weight",
                ),
                scheduler=MappingProxyType({"use_dynamic_shifting": False, "shift": 1.0}),
            ),
            *FEW_STEPS,
        ),
        packed=True,
        space="flux",
        decoder="taef1",
        editors=FLUX_EDITORS,
        hub="black-forest-labs/FLUX.1-dev",
    ),
    Family(
        key="flux2",
        name="FLUX.2 klein",
        pipelines=r"Flux2Klein(Inpaint)?",
        pipeline="Flux2Klein",
        transformer="Flux2Transformer2DModel",
        marks=(("^double_stream_modulation_img.",),),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="qwen3",
                widths=_FLUX2_WIDTHS,
            ),
        ),
        vae="flux2",
        latents=_FLUX2_LATENTS,
        scheduler=_FLUX2_SHIFT,
        cfg_scale=4.0,
        distilled=(
            Distilled(pattern=r"klein(?!.*base)", steps=4, flag="is_distilled"),
            *FEW_STEPS,
        ),
        negative=False,
        packed=True,
        space="flux2",
        decoder="taef2",
        references=10,
        hub="black-forest-labs/FLUX.2-klein-4B",
    ),
    Family(
        key="flux2-dev",
        name="FLUX.2 dev",
        pipelines=r"Flux2",
        pipeline="Flux2",
        transformer="Flux2Transformer2DModel",
        marks=(
            ("^double_stream_modulation_img.", "^guidance_in."),
            ("^double_stream_modulation_img.", "^time_guidance_embed.guidance_embedder."),
        ),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="mistral3",
                widths=_FLUX2_WIDTHS,
            ),
        ),
        vae="flux2",
        latents=_FLUX2_LATENTS,
        scheduler=_FLUX2_SHIFT,
        steps=28,
        cfg_scale=4.0,
        negative=False,
        distilled=(Distilled(pattern=r"turbo", steps=8, cfg_scale=2.5), *FEW_STEPS),
        packed=True,
        space="flux2",
        decoder="taef2",
        references=10,
        loras="flux2",
        hub="black-forest-labs/FLUX.2-dev",
    ),
)
"""See `family_table.FAMILIES`."""
