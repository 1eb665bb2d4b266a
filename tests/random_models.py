"""Models that have learnt nothing, in the layout of the real ones; made in a second."""

from __future__ import annotations

import json
from pathlib import Path

WIDTH = 32
"""Of the text encoder."""


def make_random_model(folder: Path, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """A Stable Diffusion of 0.4 million random parameters, in diffusers layout, float32.

    prediction_type: "epsilon" or "v_prediction". Sizes are multiples of 8.
    """
    import torch
    from diffusers import (
        AutoencoderKL,
        PNDMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )

    tokenizer = _byte_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_encoder = _text_encoder(tokenizer)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=4,
            norm_num_groups=8,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4,
            sample_size=64,
        )
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type=prediction_type,
            skip_prk_steps=True,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def _text_encoder(tokenizer):  # type: ignore[no-untyped-def]
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**_text_sizes(tokenizer), projection_dim=WIDTH))


def _text_sizes(tokenizer):  # type: ignore[no-untyped-def]
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _byte_tokenizer(folder: Path):  # type: ignore[no-untyped-def]
    """CLIP's tokenizer with a vocabulary of single bytes, alone and at the end of a word."""
    from transformers import CLIPTokenizer

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [*map(chr, printable), *(chr(256 + n) for n in range(len(others)))]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({word: n for n, word in enumerate(words)}))
    merges.write_text("#version: 0.2\n")
    return CLIPTokenizer(vocab=str(vocabulary), merges=str(merges), model_max_length=77)


def make_random_upscaler(folder: Path, seed: int = 0) -> Path:
    """A StableDiffusionUpscalePipeline of random parameters: 7 channels in, a VAE that halves
    twice, levels of noise as classes, as the real one has them."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        DDPMScheduler,
        StableDiffusionUpscalePipeline,
        UNet2DConditionModel,
    )

    tokenizer = _byte_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_encoder = _text_encoder(tokenizer)
        unet = UNet2DConditionModel(
            sample_size=16,
            in_channels=7,
            block_out_channels=(8, 8, 8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D",) * 3 + ("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * 3,
            cross_attention_dim=WIDTH,
            attention_head_dim=4,
            norm_num_groups=4,
            num_class_embeds=1000,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4,
            scaling_factor=0.08333,
        )
    pipe = StableDiffusionUpscalePipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        low_res_scheduler=DDPMScheduler(beta_schedule="scaled_linear"),
        scheduler=DDIMScheduler(
            beta_start=0.0001,
            beta_end=0.02,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type="v_prediction",
        ),
    )
    pipe.save_pretrained(folder)
    return folder


def make_random_clipseg(folder: Path, seed: int = 0) -> Path:
    """A CLIPSeg of random parameters, as transformers keeps the real one: 352x352 pixels in."""
    import torch
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, ViTImageProcessor

    tokenizer = _byte_tokenizer(folder)
    config = CLIPSegConfig(
        text_config=_text_sizes(tokenizer),
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 224,
            "patch_size": 16,
        },
        projection_dim=WIDTH,
        extract_layers=[0, 1, 2],
        reduce_dim=16,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=WIDTH,
        use_complex_transposed_convolution=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPSegForImageSegmentation(config)
        for parameter in model.parameters():  # else it is as unsure of all as can be
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    look = ViTImageProcessor(size={"height": 352, "width": 352}, image_mean=mean, image_std=std)
    look.save_pretrained(folder)
    return folder


def make_random_depths(folder: Path, look: Path | None = None, seed: int = 0) -> Path:
    """A DPT of random parameters. `look` is the folder for how it looks, where that is another."""
    import torch
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        is_hybrid=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DPTForDepthEstimation(config)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    DPTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(look or folder)
    return folder
