"""Small models of further families of diffusers, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.random_families import (
    COGVIEW_SIZES,
    FLUX_SIZES,
    LUMINA_SIZES,
    WIDE,
    qwen_tokenizer,
    t5,
    t5_tokenizer,
)
from tests.random_layouts import make_autoencoder


def make_aura_flow() -> Any:
    import diffusers

    transformer = diffusers.AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=WIDE,
        out_channels=4,
        pos_embed_max_size=256,
    )
    return diffusers.AuraFlowPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=make_autoencoder(4),
        transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


def make_hunyuan_dit(folder: Path) -> Any:
    """HunyuanDiT, which maps every size to one of its own by default."""
    import diffusers
    import transformers

    transformer = diffusers.HunyuanDiT2DModel(
        sample_size=16,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        in_channels=4,
        cross_attention_dim=32,
        cross_attention_dim_t5=WIDE,
        pooled_projection_dim=16,
        hidden_size=24,
        activation_fn="gelu-approximate",
    )
    reader = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=128,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
        )
    )
    letters = [chr(code) for code in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return diffusers.HunyuanDiTPipeline(
        vae=make_autoencoder(4),
        text_encoder=reader,
        tokenizer=transformers.BertTokenizer(vocab=str(folder / "vocab.txt")),
        transformer=transformer,
        scheduler=diffusers.DDPMScheduler(
            beta_start=0.00085,
            beta_end=0.03,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
    )


def make_chroma() -> Any:
    import diffusers

    transformer = diffusers.ChromaTransformer2DModel(
        patch_size=1,
        **FLUX_SIZES,
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    )
    return diffusers.ChromaPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=make_autoencoder(),
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
        transformer=transformer,
    )


def gemma() -> Any:
    import transformers

    return transformers.Gemma2Model(
        transformers.Gemma2Config(
            head_dim=16,
            hidden_size=8,
            intermediate_size=64,
            num_attention_heads=2,
            num_hidden_layers=2,
            num_key_value_heads=2,
            vocab_size=300,
            attn_implementation="eager",
        )
    )


def make_sana(folder: Path) -> Any:
    """Sana, whose autoencoder has another factor than Stable Diffusion's."""
    import diffusers

    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    blocks = ("ResBlock", "EfficientViTBlock")
    autoencoder = diffusers.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=[1, 1],
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    return diffusers.SanaPipeline(
        transformer=transformer,
        vae=autoencoder,
        scheduler=diffusers.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        text_encoder=gemma(),
        tokenizer=qwen_tokenizer(folder),
    )


def make_lumina_2(folder: Path) -> Any:
    import diffusers

    transformer = diffusers.Lumina2Transformer2DModel(
        **LUMINA_SIZES,
        num_layers=1,
        num_refiner_layers=1,
        multiple_of=2,
        axes_dim_rope=[4, 2, 2],
        axes_lens=[300, 512, 512],
        cap_feat_dim=8,
    )
    return diffusers.Lumina2Pipeline(
        transformer=transformer,
        vae=make_autoencoder(4),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        text_encoder=gemma(),
        tokenizer=qwen_tokenizer(folder),
    )


def make_cogview_3() -> Any:
    """CogView3-Plus, whose schedule is shifted by `snr_shift_scale`."""
    import diffusers

    transformer = diffusers.CogView3PlusTransformer2DModel(
        **COGVIEW_SIZES,
        num_attention_heads=2,
        condition_dim=2,
        pos_embed_max_size=64,
        sample_size=16,
    )
    return diffusers.CogView3PlusPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=make_autoencoder(4),
        transformer=transformer,
        scheduler=diffusers.CogVideoXDDIMScheduler(
            prediction_type="v_prediction",
            timestep_spacing="trailing",
            rescale_betas_zero_snr=True,
            snr_shift_scale=4.0,
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
        ),
    )


def make_flux_2_klein(folder: Path) -> Any:
    """FLUX.2-klein: latents with position ids, and an autoencoder that normalises them."""
    import diffusers
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from tests.random_families import SMALL

    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDE * 3,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    )
    autoencoder = diffusers.AutoencoderKLFlux2(
        block_out_channels=(4, 4, 4, 4),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    reader = Qwen3ForCausalLM(Qwen3Config(**SMALL | {"num_hidden_layers": 28}, head_dim=8))
    return diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder,
        text_encoder=reader,
        tokenizer=qwen_tokenizer(folder),
        transformer=transformer,
    )


def make_kontext() -> Any:
    """FLUX.1 Kontext, which also generates from a prompt alone, and chooses the size by default."""
    import diffusers

    from tests.random_families import make_flux

    return diffusers.FluxKontextPipeline(**make_flux().components)


OTHERS: dict[str, Callable[[Path], Any]] = {
    "aura-flow": lambda folder: make_aura_flow(),
    "hunyuan-dit": make_hunyuan_dit,
    "chroma": lambda folder: make_chroma(),
    "sana": make_sana,
    "lumina-2": make_lumina_2,
    "cogview-3": lambda folder: make_cogview_3(),
    "flux-2-klein": make_flux_2_klein,
    "kontext": lambda folder: make_kontext(),
}
"""By name; each takes a folder for the files it is built from."""
