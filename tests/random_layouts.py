"""Small models that have learnt nothing, each built as the originals are: 32 groups, 8 heads or
heads of 64, CLIP's own vocabulary. What is small is the width and the number of levels."""

from __future__ import annotations

from typing import Any

WIDE = 32
"""Of a text encoder."""

LAYOUTS = (
    "sd1",
    "sd1-inpainting",
    "sd2-512-base",
    "sd2-v",
    "sd2-depth",
    "sdxl",
    "sdxl-inpainting",
    "refiner",
)

XL = ("sdxl", "refiner")
"""How the names of those begin that are built as Stable Diffusion XL is."""


def make_layout(layout: str, seed: int = 0) -> Any:
    """A pipeline of diffusers with random weights, float32; layout: one of LAYOUTS."""
    import torch
    from diffusers import (
        DDIMScheduler,
        EulerDiscreteScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
    )

    from dream.engine.loading.clip_tokenizer import build_clip_tokenizer
    from dream.engine.loading.refiner import RefinerPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet, vae = _unet(layout), _vae(0.13025 if layout.startswith(XL) else 0.18215)
        old, new = _text(False, layout), _text(True, layout)
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    noise |= {"steps_offset": 1, "timestep_spacing": "leading"}
    if layout.startswith(XL):
        kind = RefinerPipeline if layout == "refiner" else StableDiffusionXLPipeline
        return kind(
            vae=vae,
            unet=unet,
            text_encoder=None if layout == "refiner" else old,
            tokenizer=None if layout == "refiner" else build_clip_tokenizer(),
            text_encoder_2=new,
            tokenizer_2=build_clip_tokenizer("!"),
            scheduler=EulerDiscreteScheduler(**noise),
            force_zeros_for_empty_prompt=layout.startswith("sdxl"),
        )
    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=new if layout.startswith("sd2") else old,
        tokenizer=build_clip_tokenizer("!") if layout.startswith("sd2") else build_clip_tokenizer(),
        scheduler=DDIMScheduler(
            **noise,
            clip_sample=False,
            set_alpha_to_one=False,
            prediction_type="v_prediction" if layout == "sd2-v" else "epsilon",
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def make_consistency(seed: int = 0) -> Any:
    """A consistency model, which hears the guidance scale; in the pipeline of its own."""
    import torch
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler, UNet2DConditionModel

    plain = make_layout("sd1", seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_config(_config(plain.unet) | {"time_cond_proj_dim": 16})
    parts = plain.components | {"unet": unet}
    parts["scheduler"] = LCMScheduler.from_config(plain.scheduler.config)
    return LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)


def make_sd3(seed: int = 0) -> Any:
    """A Stable Diffusion 3 without its third text encoder: a transformer, and flow matching."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )

    from dream.engine.loading.clip_tokenizer import build_clip_tokenizer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoders = [_text(True, "sd3") for _ in range(2)]
        transformer = SD3Transformer2DModel(
            sample_size=32,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * WIDE,
            caption_projection_dim=32,
            pooled_projection_dim=2 * WIDE,
        )
        vae = make_autoencoder()
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=encoders[0],
        tokenizer=build_clip_tokenizer(),
        text_encoder_2=encoders[1],
        tokenizer_2=build_clip_tokenizer("!"),
        text_encoder_3=None,
        tokenizer_3=None,
    )


def make_autoencoder(channels: int = 16) -> Any:
    """The VAE of newer families, which have more latent channels."""
    from diffusers import AutoencoderKL

    newer = {"latent_channels": channels, "shift_factor": 0.06}
    return AutoencoderKL.from_config(_config(_vae(1.5)) | newer)


def make_clip() -> Any:
    """A CLIPTextModel."""
    return _text(False, "sd1")


def _config(part: Any) -> dict[str, Any]:
    return {key: value for key, value in part.config.items() if not key.startswith("_")}


def _unet(layout: str) -> Any:
    from diffusers import UNet2DConditionModel

    common: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 9 if "inpainting" in layout else 5 if "depth" in layout else 4,
        "layers_per_block": 1,
        "cross_attention_dim": 2 * WIDE if layout.startswith("sdxl") else WIDE,
    }
    if layout.startswith("sd1"):
        return UNet2DConditionModel(
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=8,
            **common,
        )
    if layout.startswith("sd2"):
        return UNet2DConditionModel(
            block_out_channels=(64, 128),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=(1, 2),
            use_linear_projection=True,
            upcast_attention=True,
            **common,
        )
    return UNet2DConditionModel(
        block_out_channels=(64, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(1, 2),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=WIDE + 16 * (5 if layout == "refiner" else 6),
        **common,
    )


def _vae(scaling: float) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        sample_size=64,
        scaling_factor=scaling,
    )


def _text(open_clip: bool, layout: str) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDE,
        intermediate_size=2 * WIDE,
        num_hidden_layers=2,
        num_attention_heads=1,
        projection_dim=WIDE,
        hidden_act="gelu" if open_clip else "quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    pooled = open_clip and not layout.startswith("sd2")
    return (CLIPTextModelWithProjection if pooled else CLIPTextModel)(config)
