"""Stable Diffusion 1.5 as it is on disk, but for what it has learnt: random weights, float16.

    python -m benchmarks.random_sd15 FOLDER

A UNet of 860 million parameters, its VAE and CLIP's text encoder: 2.1 GB in diffusers layout. What
takes a real model time and memory takes this one the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

VOCABULARY = 49408
"""Tokens of CLIP's tokenizer."""

FULL, HALF = (320, 640, 1280, 1280), (160, 320, 640, 640)
"""Channels of the UNet's levels: as they are, and for measuring where there is little time."""


def make_random_sd15(folder: Path, seed: int = 0, channels: tuple[int, ...] = FULL) -> Path:
    """Write the model into a folder, which is made; returns the folder. channels: of the UNet."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    vocabulary, merges = _vocabulary(folder / "tokenizer")
    tokenizer = CLIPTokenizer(vocab=str(vocabulary), merges=str(merges), model_max_length=77)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=VOCABULARY,
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                projection_dim=768,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, block_out_channels=channels
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            sample_size=512,
        )
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16).save_pretrained(folder)
    return folder


def _vocabulary(folder: Path) -> tuple[Path, Path]:
    """Byte pairs as CLIP writes them: bytes, bytes that end a word, pairs of them, two marks."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [*map(chr, printable), *map(chr, range(256, 256 + 256 - len(printable)))]
    ends = [letter + "</w>" for letter in letters]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    room = VOCABULARY - len(letters) - len(ends) - len(marks)
    pairs = list(itertools.islice(itertools.product(letters, ends), room))
    words = [*letters, *ends, *(first + second for first, second in pairs), *marks]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    numbers = {word: number for number, word in enumerate(words)}
    vocabulary.write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    merges.write_text(
        "\n".join(["#version: 0.2", *(f"{first} {second}" for first, second in pairs), ""]),
        encoding="utf-8",
    )
    return vocabulary, merges


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    print(make_random_sd15(parser.parse_args().folder))
