"""Trains a small ControlNet for the included model: `python -m training.train_control --minutes 60`

It sees the edges of a drawing (Canny's, as `--control canny=FILE` makes them) and learns to add to
the frozen UNet what gives the drawing back (Zhang, Rao and Agrawala 2023, arXiv:2302.05543). The
colours are not in the edges: they still come from the prompt.

The data set and the checkpoint are kept in --work: the same command goes on after a break.
When the UNet was trained again, train this again too, with a new --work folder.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.control_dataset import (
    ControlDataset,
    open_control_dataset,
    write_control_dataset,
)
from training.denoiser import Noise, denoising_loss
from training.train_text_encoder import tokenize
from training.training_clock import (
    ExponentialAverage,
    TrainingClock,
    load_checkpoint,
    save_checkpoint,
    set_rate,
)

PEAK, LOWEST = 8e-4, 2e-5
WARM = 100  # steps
UNTOLD = 0.4  # this share of the captions is empty: there the edges are all that is known
SIZES = ((128, 2400, 16, 0.4), (192, 1600, 8, 0.25), (256, 2400, 6, 0.35))
"""Side in pixels, images, images of a batch, share of the steps. With 256 pixels in a fifth of the
steps, the insides of large shapes stayed background: 86 % of the images of
`training.evaluate_control` were right then, 92 % after 66,000 more with these shares."""


def new_control_net(unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet whose encoder is the UNet's without the last attentions: 1.7 M weights.

    All weights whose shapes agree are the UNet's. Those of the time embedding do not:
    ControlNetModel has no `time_embedding_dim`.
    """
    config = unet.config
    net = ControlNetModel(
        in_channels=config.in_channels,
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        cross_attention_dim=config.cross_attention_dim,
        attention_head_dim=config.attention_head_dim,
        norm_num_groups=config.norm_num_groups,
        resnet_time_scale_shift=config.resnet_time_scale_shift,
        conditioning_embedding_out_channels=(16, 16, 32, 64),
    )
    own, theirs = net.state_dict(), unet.state_dict()
    same = {n: w for n, w in theirs.items() if n in own and own[n].shape == w.shape}
    net.load_state_dict(same, strict=False)
    return net


class ControlledUNet(nn.Module):
    """The frozen UNet with what the ControlNet adds; `edges` are those of the current batch."""

    def __init__(self, unet: UNet2DConditionModel, net: ControlNetModel) -> None:
        super().__init__()
        self.unet, self.net = unet, net
        self.edges = torch.zeros(0)

    def forward(self, latents: Tensor, level: Tensor, hidden: Tensor) -> object:
        down, mid = self.net(latents, level, hidden, self.edges, return_dict=False)
        return self.unet(
            latents,
            level,
            hidden,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        )


@dataclass(frozen=True)
class Frozen:
    """The parts of the model that are not trained."""

    tokenizer: CLIPTokenizer
    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL


def open_frozen(folder: Path) -> Frozen:
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float().eval()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").float().eval()
    vae = AutoencoderKL.from_pretrained(folder / "vae").float().eval()
    for part in (text, unet, vae):
        part.requires_grad_(False)
    unet.set_attn_processor(AttnProcessor())  # faster on a CPU
    # with the ControlNet's too: 1.2 to 1.3 times as fast
    unet.to(memory_format=torch.channels_last)
    return Frozen(CLIPTokenizer.from_pretrained(folder / "tokenizer"), text, unet, vae)


class ControlTrainer:
    """The ControlNet, its optimizer and its checkpoint."""

    def __init__(
        self, frozen: Frozen, work: Path, minutes: float, start: Path | None = None
    ) -> None:
        self.frozen, self.file = frozen, work / "control.pt"
        self.net = new_control_net(frozen.unet).train()
        if start:
            trained = ControlNetModel.from_pretrained(start, dtype=torch.float32)
            self.net.load_state_dict(trained.state_dict())
        self.net.set_attn_processor(AttnProcessor())
        self.net.to(memory_format=torch.channels_last)
        self.joined = ControlledUNet(frozen.unet, self.net)
        self.noise = Noise.schedule()
        weights = list(self.net.parameters())
        self.optimizer = torch.optim.AdamW(weights, PEAK, betas=(0.9, 0.98), weight_decay=0.01)
        self.average = ExponentialAverage(weights, 0.998)
        self.clock = TrainingClock(minutes * 60)
        if saved := load_checkpoint(self.file):
            self.net.load_state_dict(saved["net"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.average.resume(saved["average"])
            self.clock.resume(saved["clock"])

    def checkpoint(self) -> None:
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"average": self.average.state(), "clock": self.clock.state()}
        save_checkpoint(self.file, state)

    def train_step(self, latents: Tensor, edges: Tensor, captions: list[str]) -> float:
        set_rate(self.optimizer, self.clock.rate(PEAK, LOWEST, WARM))
        with torch.no_grad():
            hidden = self.frozen.text(tokenize(self.frozen.tokenizer, captions)).last_hidden_state
        self.joined.edges = edges
        everywhere = torch.ones_like(latents[:, :1])
        unet: Any = self.joined
        loss, _, _ = denoising_loss(unet, self.noise, latents, hidden, everywhere)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()
        self.clock.step(len(captions))
        return loss.item()

    def export(self, out: Path) -> None:
        """Write the slow average in float16, as a folder of diffusers."""
        self.average.swap()
        net = new_control_net(self.frozen.unet)
        net.load_state_dict(self.net.state_dict())
        net.half().save_pretrained(out)
        self.average.swap()


def make_datasets(frozen: Frozen, work: Path, share: float = 1.0) -> list[ControlDataset]:
    sets = []
    for side, count, _, _ in SIZES:
        path = work / f"edges-{side}.npz"
        if not path.exists():
            print(f"{count} images of {side} x {side}", flush=True)
            write_control_dataset(path, frozen.vae, int(count * share), side, seed=side)
        sets.append(open_control_dataset(path))
    return sets


def train(trainer: ControlTrainer, sets: list[ControlDataset], out: Path, every: int) -> None:
    """Until the time is over; every so many steps a line, a checkpoint and the exported weights."""
    clock, rng = trainer.clock, random.Random(trainer.clock.steps)
    losses: dict[int, list[float]] = {side: [] for side, *_ in SIZES}
    while not clock.over:
        [number] = rng.choices(range(len(SIZES)), [row[3] for row in SIZES])
        side, _, batch, _ = SIZES[number]
        latents, edges, captions = sets[number].sample_batch(rng, batch)
        captions = ["" if rng.random() < UNTOLD else text for text in captions]
        losses[side].append(trainer.train_step(latents, edges, captions))
        if clock.steps % every == 0:
            means = {s: round(sum(x) / max(1, len(x)), 4) for s, x in losses.items()}
            seen = f"{clock.samples / 1000:.1f} k images"
            print(f"{clock.elapsed / 60:.1f} min  {clock.steps} steps  {seen}  {means}", flush=True)
            losses = {s: [] for s in losses}
            trainer.checkpoint()
            trainer.export(out)
    trainer.checkpoint()
    trainer.export(out)


def main() -> None:
    """Draw what is not drawn yet, train, and write the folder of diffusers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/tiny"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(".train/control"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--start", type=Path, help="go on from these weights, without a checkpoint")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the images")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    frozen = open_frozen(options.model)
    sets = make_datasets(frozen, options.work, options.share)
    trainer = ControlTrainer(frozen, options.work, options.minutes, options.start)
    train(trainer, sets, options.out, every=200)


if __name__ == "__main__":
    main()
