"""Runs the training: workers, averaging, the log, checkpoints, and the exported weights."""

import os
import random
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL
from torch import Tensor, multiprocessing
from transformers import CLIPTokenizer

from training.monitor import CaptionProbe
from training.trainer import DatasetPool, TrainConfig, Trainer
from training.training_clock import TrainingClock

IN_FLOAT8 = (
    "mid_block",
    *(f"{way}_blocks.{i}" for way, i in (("down", 2), ("down", 3), ("up", 0), ("up", 1))),
)
MEET_EVERY = 8  # steps between two averages of the weights
# glibc returns large blocks to the system at once and requests them again a moment later;
# keeping them saves a tenth of the time
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "500000000",
}


def work_through(rank: int, plan: TrainConfig) -> None:
    """The training loop of one worker."""
    if plan.device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // plan.workers))
    torch.manual_seed(plan.seed * 1000 + rank + int(time.time()))
    if plan.workers > 1:
        meeting = (plan.work / "meeting").resolve().as_uri()
        dist.init_process_group("gloo", rank=rank, world_size=plan.workers, init_method=meeting)
    tokenizer = CLIPTokenizer.from_pretrained(plan.out / "tokenizer")
    vae = AutoencoderKL.from_pretrained(plan.out / "vae").float().eval().to(plan.device)
    trainer, pool = Trainer(plan, tokenizer), DatasetPool(plan.work / "albums")
    rng = random.Random(hash((plan.seed, rank, trainer.course.steps)))
    probe = CaptionProbe(tokenizer, vae.cpu()) if rank == 0 else None
    vae.to(plan.device)
    log, shown = Log(), time.monotonic()
    course = trainer.course
    while not _all_over(course, plan):
        common = random.Random(course.steps)
        # a model that goes on learning is past the small images
        share = 1.0 if plan.resume else course.share
        log.note(*trainer.train_step(*pool.sample_batch(rng, common, share, plan.batch)))
        if plan.workers > 1 and course.steps % MEET_EVERY == 0:
            trainer.average_weights()
        if rank == 0 and course.steps % 100 == 0:
            print(log.line(course, plan.workers), flush=True)
            log = Log()
        if course.steps % 400 == 0:
            pool.refresh()
        if probe and time.monotonic() - shown > plan.look_every:
            shown = time.monotonic()
            trainer.report_progress(vae, probe)
    if probe:
        trainer.report_progress(vae, probe)
    if plan.workers > 1:
        dist.destroy_process_group()


def _all_over(course: TrainingClock, plan: TrainConfig) -> bool:
    """Whether all workers have used their time: they must stop at the same step."""
    if plan.workers == 1:
        return course.over or course.steps >= plan.steps
    if course.steps % MEET_EVERY:
        return False
    over = torch.tensor([float(course.over or course.steps >= plan.steps)])
    dist.all_reduce(over)
    return over.item() > 0


class Log:
    """The loss since the last line, in total and by tenth of the noise levels."""

    def __init__(self) -> None:
        self.sums, self.counts = np.zeros(10), np.zeros(10)
        self.since, self.samples = time.monotonic(), 0

    def note(self, each: Tensor, level: Tensor) -> None:
        tenth = (level // 100).cpu().numpy()
        np.add.at(self.sums, tenth, each.cpu().numpy())
        np.add.at(self.counts, tenth, 1)
        self.samples += len(each)

    def line(self, course: TrainingClock, workers: int) -> str:
        now = time.monotonic()
        pace = self.samples * workers / (now - self.since)
        means = self.sums / np.maximum(1, self.counts)
        return (
            f"unet {course.elapsed / 60:5.1f} min  seen {course.samples * workers / 1000:.0f} k"
            f"  {pace:.0f}/s  loss {self.sums.sum() / self.counts.sum():.4f}  by level "
            + " ".join(f"{m:.3f}" for m in means)
        )


def train_unet(plan: TrainConfig) -> None:
    (plan.work / "meeting").unlink(missing_ok=True)
    if plan.workers == 1:
        work_through(0, plan)
    else:
        os.environ.update(KEEP_MEMORY)  # read by the C library when a worker starts
        processes: Any = multiprocessing  # untyped in torch
        processes.spawn(work_through, (plan,), nprocs=plan.workers)
    export(plan)


def export(plan: TrainConfig) -> None:
    """Write the slow average of the last checkpoint as diffusers reads it: in float16, and the
    UNet's inner blocks, nine tenths of it, in float8.

    With these rounded so, the loss at no noise level changes by more than 0.1 %.
    """
    trainer = Trainer(
        replace(plan, device="cpu"), CLIPTokenizer.from_pretrained(plan.out / "tokenizer")
    )
    trainer.average.swap()
    trainer.text.half().save_pretrained(plan.out / "text_encoder")
    unet = trainer.unet.to(memory_format=torch.contiguous_format)
    for name, weight in unet.named_parameters():
        small = weight.ndim == 1 or not name.startswith(IN_FLOAT8)
        weight.data = weight.data.to(torch.float16 if small else torch.float8_e4m3fn)
    unet.save_pretrained(plan.out / "unet")
