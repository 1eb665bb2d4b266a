"""The table of families of models, one row each.

A row says how a family's denoiser is detected (by its tensors, never by a file's name alone), its
classes in diffusers, the text encoders and the VAE it needs, and its defaults. A new family of
known parts needs only a row; a new denoiser also a function in `engine.loading.transformer_config`.
Tensor names are those of the original files, and those of diffusers.
"""

from __future__ import annotations

from types import MappingProxyType

from dream.options.distilled_table import FEW_STEPS, FEW_STEPS_UNET
from dream.options.editor_table import QWEN_EDITORS
from dream.options.family import Distilled, Family, Side, TextEncoderNeed
from dream.options.flux_families import FLOW, FLUX_FAMILIES
from dream.options.folder_families import FOLDER_FAMILIES
from dream.options.newer_families import NEWER_FAMILIES

_POOLED = ("y_embedder.mlp.0.weight", "time_text_embed.text_embedder.linear_1.weight")
"""In Stable Diffusion 3, as wide as CLIP-L and CLIP-G together: 768 and 1280."""

FAMILIES = (
    Family(
        key="sd1",
        name="Stable Diffusion 1 and 2 (also inpainting)",
        pipelines=r"StableDiffusion(PAG|Img2Img|Inpaint|PAGImg2Img|PAGInpaint)?",
        side=512,
        distilled=FEW_STEPS_UNET,
        space="sd1",
        decoder="taesd",
        stable=True,
    ),
    Family(
        key="sd2",
        name="Stable Diffusion 2 depth",
        pipelines=r"StableDiffusionDepth2Img",
        side=512,
        distilled=FEW_STEPS_UNET,
        space="sd1",
        decoder="taesd",
        stable=True,
    ),
    Family(
        key="sdxl",
        name="Stable Diffusion XL (also refiner, inpainting)",
        pipelines=r"StableDiffusionXL(PAG|Img2Img|Inpaint|PAGImg2Img|PAGInpaint)?",
        cfg_scale=5.0,
        distilled=FEW_STEPS_UNET,
        space="sdxl",
        decoder="taesdxl",
        stable=True,
    ),
    Family(
        key="sd3",
        name="Stable Diffusion 3, 3.5",
        pipelines=r"StableDiffusion3(Img2Img|Inpaint)?",
        pipeline="StableDiffusion3",
        transformer="SD3Transformer2DModel",
        marks=(
            ("^joint_blocks.0.",),
            ("^pos_embed.pos_embed$", "^context_embedder.", "attn.norm_added_q"),
        ),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="clip",
                widths=tuple(Side(n, 1, 8, 3) for n in _POOLED),
                projected=True,
            ),
            TextEncoderNeed(
                part="text_encoder_2",
                kind="clip",
                widths=tuple(Side(n, 1, 8, 5) for n in _POOLED),
                projected=True,
            ),
            TextEncoderNeed(
                part="text_encoder_3",
                kind="t5",
                widths=(Side("context_embedder.weight", 1),),
                optional=True,
            ),
        ),
        vae="kl",
        vae_names="sd3",
        latents=(Side("x_embedder.proj.weight", 1), Side("pos_embed.proj.weight", 1)),
        scheduler=MappingProxyType({**FLOW, "shift": 3.0}),
        cfg_scale=7.0,
        distilled=(Distilled(pattern=r"turbo", steps=4), *FEW_STEPS),
        space="sd3",
        decoder="taesd3",
        hub="stabilityai/stable-diffusion-3.5-large",
    ),
    *FLUX_FAMILIES,
    Family(
        key="z-image",
        name="Z-Image, Z-Image-Turbo",
        pipelines=r"ZImage(Img2Img|Inpaint|Omni)?",
        pipeline="ZImage",
        transformer="ZImageTransformer2DModel",
        marks=(("^cap_embedder.0.", "^x_pad_token$"), ("^all_x_embedder.",)),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="qwen3",
                widths=(Side("cap_embedder.0.weight", 0),),
            ),
        ),
        vae="kl",
        latents=(Side("x_embedder.weight", 1, 4), Side("all_x_embedder.2-1.weight", 1, 4)),
        scheduler=MappingProxyType({**FLOW, "shift": 6.0}),
        cfg_scale=5.0,
        guidance_off=0.0,
        distilled=(Distilled(pattern=r"turbo", steps=9, shift=3.0), *FEW_STEPS),
        space="flux",
        decoder="taef1",
        hub="Tongyi-MAI/Z-Image-Turbo",
    ),
    Family(
        key="qwen-image",
        name="Qwen-Image, Qwen-Image-Edit",
        pipelines=r"QwenImage(Edit|EditPlus)?(Img2Img|Inpaint)?",
        pipeline="QwenImage",
        transformer="QwenImageTransformer2DModel",
        marks=(("^txt_norm.", "^transformer_blocks.0."),),
        encoders=(
            TextEncoderNeed(
                part="text_encoder", kind="qwen2.5-vl", widths=(Side("txt_norm.weight", 0),)
            ),
        ),
        vae="qwen",
        latents=(Side("img_in.weight", 1, 4),),
        scheduler=MappingProxyType(
            {
                **FLOW,
                "shift": 1.0,
                "shift_terminal": 0.02,
                "use_dynamic_shifting": True,
                "base_shift": 0.5,
                "max_shift": 0.9,
                "base_image_seq_len": 256,
                "max_image_seq_len": 8192,
                "time_shift_type": "exponential",
            }
        ),
        cfg_scale=4.0,
        distilled=FEW_STEPS,
        packed=True,
        space="qwen",
        decoder="taew2_1",
        editors=QWEN_EDITORS,
        hub="Qwen/Qwen-Image",
    ),
    Family(
        key="lumina2",
        name="Lumina 2, Lumina",
        pipelines=r"Lumina2?",
        pipeline="Lumina2",
        transformer="Lumina2Transformer2DModel",
        marks=(
            ("^cap_embedder.0.", "^noise_refiner."),
            ("^time_caption_embed.caption_embedder.", "^noise_refiner."),
        ),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="gemma2",
                widths=(
                    Side("cap_embedder.0.weight", 0),
                    Side("time_caption_embed.caption_embedder.0.weight", 0),
                ),
            ),
        ),
        vae="kl",
        latents=(Side("x_embedder.weight", 1, 4),),
        scheduler=MappingProxyType({**FLOW, "shift": 6.0}),
        cfg_scale=4.0,
        space="flux",
        decoder="taef1",
        hub="Alpha-VLLM/Lumina-Image-2.0",
    ),
    Family(
        key="chroma",
        name="Chroma",
        pipelines=r"Chroma(Img2Img|Inpaint)?",
        pipeline="Chroma",
        transformer="ChromaTransformer2DModel",
        marks=(("^distilled_guidance_layer.",),),
        encoders=(
            TextEncoderNeed(
                part="text_encoder",
                kind="t5",
                widths=(Side("txt_in.weight", 1), Side("context_embedder.weight", 1)),
            ),
        ),
        vae="kl",
        latents=(Side("img_in.weight", 1, 4), Side("x_embedder.weight", 1, 4)),
        scheduler=MappingProxyType({**FLOW, "shift": 1.0}),
        cfg_scale=5.0,
        distilled=(Distilled(pattern=r"flash", steps=8), *FEW_STEPS),
        packed=True,
        space="flux",
        decoder="taef1",
        hub="lodestones/Chroma1-HD",
    ),
    *NEWER_FAMILIES,
    *FOLDER_FAMILIES,
)
"""Those that dream generates images with. Each was run with small random weights, from a prompt
alone, with previews and intermediates."""

BY_KEY = {family.key: family for family in FAMILIES}


def get_family(key: str) -> Family:
    """The row of a family; for a name that is not in the table, a row of usual defaults."""
    return BY_KEY.get(key) or Family(key=key, name=key)
