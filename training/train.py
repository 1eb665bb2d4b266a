"""Train the included model from scratch: `python -m training.train --out models/tiny --minutes 90`

The stages, in order, and their share of the minutes:

    tokenizer   a vocabulary from the captions                      seconds
    vae         the VAE, on crops of new images                     0.11
    text        the text encoder, on captions alone                 0.05
    albums      images encoded once and stored as latents           as long as they take
    unet        text encoder and UNet together                      0.75
    hand        the decoder once more, alone, from whole images     0.06
    upscaler    the upscaler                                        0.03
    card        card.toml and model_index.json                      seconds

Each stage keeps a checkpoint under --work and continues from it, so the same command continues
after an interruption, and with more --minutes the UNet, the decoder and the upscaler train longer.
If the checkpoints are lost, --onward starts with the model in --out instead of from scratch. So
does a model that is to learn new words: `python -m training.extend_text_encoder models/tiny FOLDER`
first, then this with --onward --out FOLDER --stage unet.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from training import tokenizer
from training.latent_dataset import write_latent_dataset
from training.model_card import write_card, write_index
from training.scene_specs import (
    DETAILS,
    FULL,
    LANDSCAPES,
    NEWER,
    OVERLAPS,
    PAIRS,
    PLAIN,
    RICH,
    MixRatios,
)
from training.train_decoder import train_decoder
from training.train_text_encoder import train_text
from training.train_unet import train_unet
from training.train_upscaler import train_upscaler
from training.train_vae import train_vae
from training.trainer import TrainConfig

MINUTES = {"vae": 0.11, "text": 0.05, "unet": 0.75, "hand": 0.06, "upscaler": 0.03}

# which albums there are: mix, width, height, share of all pictures
ALBUMS: tuple[tuple[MixRatios, int, int, float], ...] = (
    (PLAIN, 128, 128, 0.2),
    (PLAIN, 192, 192, 0.16),
    (PLAIN, 256, 256, 0.08),
    (PAIRS, 128, 128, 0.24),
    (PAIRS, 192, 192, 0.18),
    (PAIRS, 256, 256, 0.12),
    (FULL, 192, 192, 0.1),
    (FULL, 256, 256, 0.2),
    (FULL, 256, 192, 0.04),
    (FULL, 192, 256, 0.04),
    (FULL, 320, 256, 0.02),
    (FULL, 256, 320, 0.02),
    (FULL, 320, 320, 0.02),
    (FULL, 384, 256, 0.01),
    (FULL, 256, 384, 0.01),
)

# of a model that goes on learning: mostly what it learns last, enough of the rest not to forget it
ALBUMS_ONWARD: tuple[tuple[MixRatios, int, int, float], ...] = (
    (RICH, 256, 256, 0.4),
    (OVERLAPS, 256, 256, 0.35),
    (LANDSCAPES, 256, 256, 0.35),
    (RICH, 192, 192, 0.3),
    (OVERLAPS, 192, 192, 0.25),
    (RICH, 128, 128, 0.2),
    (DETAILS, 256, 256, 0.3),
    (FULL, 256, 256, 0.2),
    (PAIRS, 256, 256, 0.15),
    (NEWER, 256, 256, 0.15),
    (LANDSCAPES, 192, 192, 0.2),
    (DETAILS, 192, 192, 0.2),
    (NEWER, 192, 192, 0.2),
    (PAIRS, 192, 192, 0.12),
    (FULL, 192, 192, 0.1),
    (NEWER, 128, 128, 0.12),
    (PAIRS, 128, 128, 0.1),
    (PLAIN, 128, 128, 0.05),
    (FULL, 256, 192, 0.02),
    (FULL, 192, 256, 0.02),
    (FULL, 320, 256, 0.02),
    (FULL, 256, 320, 0.02),
    (RICH, 384, 256, 0.01),
    (RICH, 256, 384, 0.01),
)


@dataclass(frozen=True)
class StageConfig:
    """Everything a stage needs to know."""

    out: Path
    upscaler: Path
    work: Path
    minutes: float
    device: str
    pictures: int
    resume: bool = False

    def share(self, stage: str) -> float:
        return self.minutes * MINUTES[stage]

    @property
    def tokenizer(self) -> CLIPTokenizer:
        return CLIPTokenizer.from_pretrained(self.out / "tokenizer")


def make_tokenizer(config: StageConfig) -> None:
    if not (config.out / "tokenizer" / "vocab.json").exists():
        words = len(tokenizer.write(config.out / "tokenizer"))
        print(f"tokenizer  {words} tokens", flush=True)


def make_vae(config: StageConfig) -> None:
    if config.resume or (config.work / "albums").exists():
        return  # what is in the albums was seen with this eye; it must not change any more
    train_vae(config.out, config.work, config.share("vae"), config.device)


def make_text(config: StageConfig) -> None:
    if config.resume or (config.work / "unet.pt").exists():
        return  # it learns on together with the UNet
    train_text(config.out, config.work, config.share("text"), config.tokenizer, config.device)


def make_datasets(config: StageConfig) -> None:
    albums = ALBUMS_ONWARD if config.resume else ALBUMS
    vae = (
        AutoencoderKL.from_pretrained(config.out / "vae")
        .float()
        .eval()
        .to(config.device, memory_format=torch.channels_last)
    )
    for number, (mix, width, height, part) in enumerate(albums, 1):
        path = config.work / "albums" / f"{width}x{height}-{number}.npz"
        if not path.exists():
            count = int(part * config.pictures)
            print(f"album  {count} pictures of {width} x {height}", flush=True)
            write_latent_dataset(path, vae, mix, count, width, height, number, config.device)


def make_unet(config: StageConfig) -> None:
    plan = TrainConfig(
        config.out, config.work, config.share("unet"), config.device, resume=config.resume
    )
    if config.device == "cpu":
        plan = replace(plan, workers=min(2, os.cpu_count() or 1), look_every=600.0)
    else:
        plan = replace(plan, batch=256)
    train_unet(plan)


def make_hand(config: StageConfig) -> None:
    train_decoder(config.out, config.work, config.share("hand"), config.device)


def make_upscaler(config: StageConfig) -> None:
    train_upscaler(config.upscaler, config.work, config.share("upscaler"), config.device)


def make_card(config: StageConfig) -> None:
    write_index(config.out)
    write_card(config.out)
    size = sum(f.stat().st_size for f in config.out.rglob("*") if f.is_file())
    print(f"card  {config.out} is whole: {size / 1e6:.1f} MB", flush=True)


STAGES: dict[str, Callable[[StageConfig], None]] = {
    "tokenizer": make_tokenizer,
    "vae": make_vae,
    "text": make_text,
    "albums": make_datasets,
    "unet": make_unet,
    "hand": make_hand,
    "upscaler": make_upscaler,
    "card": make_card,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("models/tiny"))
    parser.add_argument("--upscaler", type=Path, default=Path("models/tiny-x4/tiny-x4.pth"))
    parser.add_argument("--work", type=Path, default=Path(".train"), help="checkpoints and albums")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pictures", type=int, default=25_000)
    parser.add_argument("--stage", choices=[*STAGES, "all"], default="all")
    parser.add_argument("--onward", dest="resume", action="store_true", help="start with --out")
    options = parser.parse_args()
    config = StageConfig(
        options.out,
        options.upscaler,
        options.work,
        options.minutes,
        options.device,
        options.pictures,
        options.resume,
    )
    for name, stage in STAGES.items():
        if options.stage in (name, "all"):
            stage(config)


if __name__ == "__main__":
    main()
