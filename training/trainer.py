"""Trains text encoder and UNet together, on datasets of latents with new captions.

On a CPU, one process per core, each with its own images; every few steps all take the mean of their
weights (local SGD, Stich 2018), which costs one percent and keeps both cores busy. On a GPU, one
process with large batches.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.captions import caption
from training.denoiser import Noise, denoising_loss, new_unet
from training.latent_dataset import LatentDataset, open_latent_dataset
from training.monitor import FREE_PROMPTS, PROMPTS, CaptionProbe, contact_sheet, pipeline
from training.muon import Muon
from training.train_text_encoder import new_text_encoder, tokenize
from training.training_clock import (
    ExponentialAverage,
    TrainingClock,
    load_checkpoint,
    precision,
    save_checkpoint,
    set_rate,
)

UNTOLD = 0.1  # this share of the captions is empty, for guidance (Ho & Salimans 2022)
HEAR_EVERY = 4  # the text encoder is pretrained: an occasional gradient is enough
TEXT_RATE = 0.3  # and a lower learning rate
PEAK, LOWEST = 1e-3, 4e-5
# Muon is for the layers between the ends (Jordan 2024), and the time embedding's take as long to
# make orthogonal as half of those.
NOT_ORTHOGONAL = "^conv_in|^conv_out|embedding|time_emb_proj"
# A model that goes on learning: what it learned must last, and its steps stay high until the last
# quarter, so that a later run can go on from a checkpoint of before.
PEAK_ONWARD, HOLD_ONWARD = 5e-4, 0.75
# shares of the images by size, at the beginning and at the end, interpolated in between
SHARES = {(128, 128): (0.5, 0.15), (192, 192): (0.35, 0.3), (256, 256): (0.12, 0.45)}
OTHER_SIZES = (0.03, 0.1)  # all together
TURN = (0.3, 0.75)  # shares of the training time
# A step costs 0.14 s of one core before its first sample: more of them where one costs little.
SAMPLES = {(128, 128): 2.0, (192, 192): 1.5}


@dataclass(frozen=True)
class TrainConfig:
    out: Path
    work: Path
    minutes: float
    device: str = "cpu"
    workers: int = 1
    batch: int = 24
    seed: int = 0
    look_every: float = 300.0  # seconds between two checkpoints with contact sheet
    steps: int = 10**9
    resume: bool = False  # without a checkpoint, begin with the weights in `out`


def size_share(course_share: float, size: tuple[int, int]) -> float:
    """The share of images of this size: small and cheap ones early, 256 pixels late.

    A default object at 128 pixels is as large in latents as a small one at 256, so nothing learned
    there is lost; and a sample costs a third.
    """
    start, end = TURN
    turned = min(1.0, max(0.0, (course_share - start) / (end - start)))
    early, late = SHARES.get(size, OTHER_SIZES)
    return early + (late - early) * turned


class DatasetPool:
    """All datasets that exist; refreshed from time to time, since more may be written meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.datasets: dict[tuple[int, int], list[LatentDataset]] = {}
        self.known: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self.folder.glob("*.npz")):
            if path not in self.known:
                self.known.add(path)
                dataset = open_latent_dataset(path)
                self.datasets.setdefault(dataset.size, []).append(dataset)

    def sample_batch(
        self, rng: random.Random, common: random.Random, share: float, count: int
    ) -> tuple[Tensor, Tensor, list[str]]:
        """Latents (b, 4, h, w), loss weights (b, 1, h, w) and captions; all of one size. b is
        `count` for images of 256 pixels, and more for smaller ones.

        The size is drawn from `common`, which is the same for all workers: otherwise they wait for
        each other.
        """
        sizes = sorted(self.datasets)
        odd = max(1, sum(size not in SHARES for size in sizes))
        weights = [size_share(share, size) / (1 if size in SHARES else odd) for size in sizes]
        datasets = self.datasets[common.choices(sizes, weights)[0]]
        dataset = rng.choices(datasets, [len(a.specs) for a in datasets])[0]
        count = int(count * SAMPLES.get(dataset.size, 1.0))
        rows = np.array(rng.choices(range(len(dataset.specs)), k=count))
        texts = ["" if rng.random() < UNTOLD else caption(rng, dataset.specs[i]) for i in rows]
        return torch.from_numpy(dataset.latents[rows]).float(), dataset.weights(rows), texts


class Trainer:
    """Text encoder, UNet, optimizer and slow average of one worker."""

    def __init__(self, plan: TrainConfig, tokenizer: CLIPTokenizer) -> None:
        self.plan, self.tokenizer = plan, tokenizer
        self.text = new_text_encoder(tokenizer).to(plan.device)
        if known := load_checkpoint(plan.work / "text.pt", plan.device):
            self.text.load_state_dict(known["encoder"])
        self.unet = new_unet().to(plan.device)
        if plan.resume:
            self._begin_with(plan.out)
        self.weights = [*self.text.parameters(), *self.unet.parameters()]
        self.adam, self.muon = _optimizers(self.text, self.unet)
        self.average = ExponentialAverage(self.weights, 0.998)
        self.course = TrainingClock(plan.minutes * 60)
        self.noise = Noise.schedule(plan.device)
        if saved := load_checkpoint(plan.work / "unet.pt", plan.device):
            self._resume(saved)

    def _begin_with(self, out: Path) -> None:
        """Start with the exported float16 weights; the optimizer starts from zero."""
        text = CLIPTextModel.from_pretrained(out / "text_encoder")
        unet = UNet2DConditionModel.from_pretrained(out / "unet")
        self.text.load_state_dict(text.float().state_dict())
        self.unet.load_state_dict(unet.float().state_dict())

    def _resume(self, saved: dict[str, Any]) -> None:
        self.text.load_state_dict(saved["text"])
        self.unet.load_state_dict(saved["unet"])
        if "muon" in saved:  # not in checkpoints from before it: then both start from zero
            self.adam.load_state_dict(saved["adam"])
            self.muon.load_state_dict(saved["muon"])
        self.average.resume(saved["average"])
        self.course.resume(saved["course"])

    def checkpoint(self) -> None:
        save_checkpoint(
            self.plan.work / "unet.pt",
            {
                "text": self.text.state_dict(),
                "unet": self.unet.state_dict(),
                "adam": self.adam.state_dict(),
                "muon": self.muon.state_dict(),
                "average": self.average.state(),
                "course": self.course.state(),
            },
        )

    def train_step(
        self, latents: Tensor, weight: Tensor, texts: list[str]
    ) -> tuple[Tensor, Tensor]:
        """One step; returns the loss of each sample and its noise level."""
        course, device = self.course, self.plan.device
        peak, hold = (PEAK_ONWARD, HOLD_ONWARD) if self.plan.resume else (PEAK, 0.0)
        rate = course.rate(peak, LOWEST, hold=hold)
        set_rate(self.muon, rate)
        set_rate(self.adam, rate)
        for group in self.adam.param_groups[2:]:
            group["lr"] = rate * TEXT_RATE
        ids = tokenize(self.tokenizer, texts).to(device)  # (b, 77)
        with torch.set_grad_enabled(course.steps % HEAR_EVERY == 0), precision(device):
            hidden = self.text(ids).last_hidden_state  # (b, 77, 128)
        with precision(device):
            loss, each, level = denoising_loss(
                self.unet, self.noise, latents.to(device), hidden, weight.to(device)
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        for optimizer in (self.adam, self.muon):
            optimizer.step()
            optimizer.zero_grad()
        self.average.update()
        course.step(len(texts))
        return each, level

    @torch.no_grad()
    def average_weights(self) -> None:
        """Give every worker the mean of all weights."""
        flat = torch.cat([w.detach().reshape(-1) for w in self.weights])  # (all weights,)
        dist.all_reduce(flat)
        flat /= self.plan.workers
        for w, mean in zip(
            self.weights, flat.split([w.numel() for w in self.weights]), strict=True
        ):
            w.copy_(mean.view_as(w))

    def report_progress(self, vae: AutoencoderKL, probe: CaptionProbe) -> None:
        """Write checkpoint, wrong-caption losses, contact sheet, and the current model."""
        self.checkpoint()
        self.average.swap()
        print("     ", probe(self.text, self.unet), flush=True)
        pipe = pipeline(self.tokenizer, self.text, self.unet, vae)
        minute = round(self.course.elapsed / 60)
        prompts = FREE_PROMPTS if self.plan.resume else PROMPTS
        contact_sheet(pipe, self.plan.work / "sheets" / f"{minute:04d}.png", prompts)
        self.average.swap()


def _optimizers(text: CLIPTextModel, unet: UNet2DConditionModel) -> tuple[torch.optim.AdamW, Muon]:
    """Muon for the UNet's layers, AdamW for the rest of it and for the text encoder, whose groups
    come last. Weight decay for matrices only."""
    layers = [
        weight
        for name, weight in unet.named_parameters()
        if weight.ndim > 1 and not re.search(NOT_ORTHOGONAL, name)
    ]
    orthogonal = {id(weight) for weight in layers}
    groups = []
    for module in (unet, text):
        weights = [w for w in module.parameters() if id(w) not in orthogonal]
        groups += [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": 0.01},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
    adam = torch.optim.AdamW(groups, PEAK, betas=(0.9, 0.98), fused=True)
    return adam, Muon([{"params": layers, "weight_decay": 0.01}], PEAK)
