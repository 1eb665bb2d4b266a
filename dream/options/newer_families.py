"""Further rows of the table of families, for those of its models that are in several files."""

from __future__ import annotations

from types import MappingProxyType

from dream.options.family import Distilled, Family, Side, TextEncoderNeed

_POOLED = "p_embedder.pooled_embedder.linear_1.weight"
"""In HiDream-I1, as wide as CLIP-L and CLIP-G together: 768 and 1280."""

_T5_OF_PIXART = TextEncoderNeed(
    part="text_encoder",
    kind="t5",
    widths=(
        Side("y_embedder.y_proj.fc1.weight", 1),
        Side("caption_projection.linear_1.weight", 1),
    ),
)
_PIXART_NOISE = MappingProxyType(
    {
        "_class_name": "DPMSolverMultistepScheduler",
        "num_train_timesteps": 1000,
        "timestep_spacing": "linspace",
    }
)

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
    Family(
        key="hidream",
        name="HiDream-I1",
        pipelines=r"HiDreamImage",
        pipeline="HiDreamImage",
        transformer="HiDreamImageTransformer2DModel",
        marks=(("^double_stream_blocks.0.block.",),),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="clip",
                widths=(Side(_POOLED, 1, 8, 3),),
                projected=True,
                length=128,
            ),
            TextEncoderNeed(
                part="text_encoder_2",
                kind="clip",
                widths=(Side(_POOLED, 1, 8, 5),),
                projected=True,
                length=128,
            ),
            TextEncoderNeed(part="text_encoder_3", kind="t5", width=4096),
            TextEncoderNeed(
                part="text_encoder_4",
                kind="llama3",
                widths=(Side("caption_projection.0.linear.weight", 1),),
            ),
        ),
        vae="kl",
        latents=(Side("x_embedder.proj.weight", 1, 4),),
        scheduler=MappingProxyType({"num_train_timesteps": 1000, "shift": 3.0}),
        steps=50,
        cfg_scale=5.0,
        distilled=(
            Distilled(pattern=r"i1[-_. ]?dev|dev[-_. ]?i1", steps=28, shift=6.0),
            Distilled(pattern=r"i1[-_. ]?fast|fast[-_. ]?i1", steps=16),
        ),
        space="flux",
        decoder="taef1",
        hub="HiDream-ai/HiDream-I1-Full",
    ),
    Family(
        key="auraflow",
        name="AuraFlow, Pony V7",
        pipelines=r"AuraFlow",
        pipeline="AuraFlow",
        transformer="AuraFlowTransformer2DModel",
        marks=(
            ("^double_layers.0.", "^cond_seq_linear."),
            ("^joint_transformer_blocks.0.", "^context_embedder."),
        ),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="umt5",
                widths=(Side("cond_seq_linear.weight", 1), Side("context_embedder.weight", 1)),
            ),
        ),
        vae="kl",
        vae_names="xl|aura",
        latents=(Side("init_x_linear.weight", 1, 4), Side("pos_embed.proj.weight", 1, 4)),
        scheduler=MappingProxyType({"num_train_timesteps": 1000, "shift": 1.73}),
        cfg_scale=3.5,
        space="sdxl",
        decoder="taesdxl",
        hub="fal/AuraFlow-v0.3",
    ),
    Family(
        key="sana",
        name="Sana",
        pipelines=r"Sana(PAG)?",
        pipeline="Sana",
        transformer="SanaTransformer2DModel",
        marks=(("^t_block.1.", "^attention_y_norm."), ("^caption_norm.", "^patch_embed.proj.")),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="gemma2",
                widths=(
                    Side("y_embedder.y_proj.fc1.weight", 1),
                    Side("caption_projection.linear_1.weight", 1),
                ),
            ),
        ),
        vae="dc",
        vae_names="sana|dc",
        latents=(Side("x_embedder.proj.weight", 1), Side("patch_embed.proj.weight", 1)),
        scheduler=MappingProxyType(
            {
                "_class_name": "DPMSolverMultistepScheduler",
                "num_train_timesteps": 1000,
                "prediction_type": "flow_prediction",
                "use_flow_sigmas": True,
                "flow_shift": 3.0,
            }
        ),
        cfg_scale=4.5,
        multiple=32,
        space="sana",
        hub="Efficient-Large-Model/Sana_1600M_1024px_diffusers",
    ),
    Family(
        key="pixart",
        name="PixArt-Σ",
        pipelines=r"PixArt(Sigma|SigmaPAG)",
        pipeline="PixArtSigma",
        transformer="PixArtTransformer2DModel",
        marks=(
            ("^t_block.1.", "^y_embedder.y_embedding$", "^blocks.0.cross_attn.q_linear."),
            ("^adaln_single.linear.", "^pos_embed.proj."),
        ),
        others=((Side("y_embedder.y_embedding", 0), 120, "pixart-alpha"),),
        encoders=(_T5_OF_PIXART,),
        vae="kl",
        vae_names="xl|pixart",
        latents=(Side("x_embedder.proj.weight", 1), Side("pos_embed.proj.weight", 1)),
        scheduler=_PIXART_NOISE,
        cfg_scale=4.5,
        space="sdxl",
        decoder="taesdxl",
        hub="PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
    ),
    Family(
        key="pixart-alpha",
        name="PixArt-α",
        pipelines=r"PixArtAlpha",
        pipeline="PixArtAlpha",
        transformer="PixArtTransformer2DModel",
        marks=(
            ("^t_block.1.", "^csize_embedder."),
            ("^adaln_single.linear.", "^adaln_single.emb.resolution_embedder."),
        ),
        encoders=(_T5_OF_PIXART,),
        vae="kl",
        vae_names=r"ft.?(ema|mse)|840000|sd.?(vae|1)",
        latents=(Side("x_embedder.proj.weight", 1), Side("pos_embed.proj.weight", 1)),
        scheduler=_PIXART_NOISE,
        cfg_scale=4.5,
        space="sd1",
        decoder="taesd",
        hub="PixArt-alpha/PixArt-XL-2-1024-MS",
    ),
)
"""See `family_table.FAMILIES`."""
