"""Text encoder and UNet learn together from albums of latents and freshly drawn captions.

On a CPU one process a core, each with its own pictures; every few steps all take the mean of
their weights (local SGD, Stich 2018), which costs one percent and keeps both cores busy. On a GPU
one process with large batches.
"""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from dream.tiny.album import Album, open_album
from dream.tiny.captions import caption
from dream.tiny.course import Average, Course, keep, precision, recall, set_rate
from dream.tiny.denoiser import Noise, denoising_loss, new_unet
from dream.tiny.glimpse import Probe, contact_sheet, pipeline
from dream.tiny.text import new_text_encoder, tokenize

UNTOLD = 0.1  # this share of the captions is empty, for guidance (Ho & Salimans 2022)
MEET_EVERY = 16  # steps between two means of the weights
HEAR_EVERY = 4  # the text encoder already knows its words: a gradient now and then is enough
TEXT_RATE = 0.3  # and a lower learning rate
PEAK, LOWEST = 1e-3, 4e-5
EARLY = 0.35  # this share of the course is for small pictures
SHARES = {(128, 128): (0.5, 0.05), (192, 192): (0.35, 0.3), (256, 256): (0.12, 0.45)}
# glibc gives large blocks back to the system at once and asks for them again a moment later;
# letting it keep them saves a tenth of the time
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "500000000",
}


@dataclass(frozen=True)
class Plan:
    out: Path
    work: Path
    minutes: float
    device: str = "cpu"
    workers: int = 1
    batch: int = 16
    seed: int = 0
    look_every: float = 300.0  # seconds between two checkpoints with contact sheet
    steps: int = 10**9


def shares(course_share: float, size: tuple[int, int]) -> float:
    """How often to look at pictures of this size: small and cheap ones early, home size late.

    A default object at 128 pixels is as large in latents as a small one at 256, so nothing
    learnt there is lost; and a sample costs a third.
    """
    early = course_share < EARLY
    if size in SHARES:
        return SHARES[size][0 if early else 1]
    return 0.03 if early else 0.2  # all other sizes together


class Shelf:
    """All albums there are; looks again now and then, since more may be drawn meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.albums: dict[tuple[int, int], list[Album]] = {}
        self.known: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self.folder.glob("*.npz")):
            if path not in self.known:
                self.known.add(path)
                album = open_album(path)
                self.albums.setdefault(album.size, []).append(album)

    def batch(
        self, rng: random.Random, common: random.Random, share: float, count: int
    ) -> tuple[Tensor, Tensor, list[str]]:
        """Latents (b, 4, h, w), loss weights (b, 1, h, w) and captions; all of one size.

        The size is drawn from `common`, the same for all workers: else they wait for each other.
        """
        sizes = sorted(self.albums)
        odd = max(1, sum(size not in SHARES for size in sizes))
        weights = [shares(share, size) / (1 if size in SHARES else odd) for size in sizes]
        albums = self.albums[common.choices(sizes, weights)[0]]
        album = rng.choices(albums, [len(a.specs) for a in albums])[0]
        rows = np.array(rng.sample(range(len(album.specs)), count))
        texts = ["" if rng.random() < UNTOLD else caption(rng, album.specs[i]) for i in rows]
        return torch.from_numpy(album.latents[rows]).float(), album.weights(rows), texts


class Pupil:
    """Text encoder, UNet, optimizer and slow average of one worker."""

    def __init__(self, plan: Plan, tokenizer: CLIPTokenizer) -> None:
        self.plan, self.tokenizer = plan, tokenizer
        self.text = new_text_encoder(tokenizer).to(plan.device)
        if known := recall(plan.work / "text.pt", plan.device):
            self.text.load_state_dict(known["encoder"])
        self.unet = new_unet().to(plan.device)
        self.weights = [*self.text.parameters(), *self.unet.parameters()]
        self.optimizer = _optimizer(self.text, self.unet)
        self.average = Average(self.weights, 0.998)
        self.course = Course(plan.minutes * 60)
        self.noise = Noise.schedule(plan.device)
        if saved := recall(plan.work / "unet.pt", plan.device):
            self._resume(saved)

    def _resume(self, saved: dict[str, Any]) -> None:
        self.text.load_state_dict(saved["text"])
        self.unet.load_state_dict(saved["unet"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.resume(saved["average"])
        self.course.resume(saved["course"])

    def checkpoint(self) -> None:
        keep(
            self.plan.work / "unet.pt",
            {
                "text": self.text.state_dict(),
                "unet": self.unet.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.state(),
                "course": self.course.state(),
            },
        )

    def learn(self, latents: Tensor, weight: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
        """One step; returns the loss of each sample and its noise level."""
        course, device = self.course, self.plan.device
        rate = course.rate(PEAK, LOWEST)
        set_rate(self.optimizer, rate)
        for group in self.optimizer.param_groups[2:]:
            group["lr"] = rate * TEXT_RATE
        ids = tokenize(self.tokenizer, texts).to(device)
        with torch.set_grad_enabled(course.steps % HEAR_EVERY == 0), precision(device):
            hidden = self.text(ids).last_hidden_state
        with precision(device):
            loss, each, level = denoising_loss(
                self.unet, self.noise, latents.to(device), hidden, weight.to(device)
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()
        course.step(len(texts))
        return each, level

    @torch.no_grad()
    def meet(self) -> None:
        """Every worker leaves with the mean of all weights."""
        flat = torch.cat([w.detach().reshape(-1) for w in self.weights])
        dist.all_reduce(flat)
        flat /= self.plan.workers
        for w, mean in zip(
            self.weights, flat.split([w.numel() for w in self.weights]), strict=True
        ):
            w.copy_(mean.view_as(w))

    def show(self, vae: AutoencoderKL, probe: Probe) -> None:
        """Checkpoint, wrong-caption losses, contact sheet, and the model as it stands."""
        self.checkpoint()
        self.average.swap()
        print("     ", probe(self.text, self.unet), flush=True)
        pipe = pipeline(self.tokenizer, self.text, self.unet, vae)
        minute = round(self.course.elapsed / 60)
        contact_sheet(pipe, self.plan.work / "sheets" / f"{minute:04d}.png")
        self.average.swap()


def _optimizer(text: CLIPTextModel, unet: UNet2DConditionModel) -> torch.optim.AdamW:
    """Weight decay for matrices only; the text encoder's groups come last."""
    groups = []
    for module in (unet, text):
        weights = list(module.parameters())
        groups += [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": 0.01},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(groups, PEAK, betas=(0.9, 0.98), fused=True)


def work_through(rank: int, plan: Plan) -> None:
    """What one worker does from its first step to its last."""
    if plan.device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // plan.workers))
    torch.manual_seed(plan.seed * 1000 + rank + int(time.time()))
    if plan.workers > 1:
        meeting = (plan.work / "meeting").resolve().as_uri()
        dist.init_process_group("gloo", rank=rank, world_size=plan.workers, init_method=meeting)
    tokenizer = CLIPTokenizer.from_pretrained(plan.out / "tokenizer")
    vae = AutoencoderKL.from_pretrained(plan.out / "vae").float().eval().to(plan.device)
    pupil, shelf = Pupil(plan, tokenizer), Shelf(plan.work / "albums")
    rng = random.Random(hash((plan.seed, rank, pupil.course.steps)))
    probe = Probe(tokenizer, vae.cpu()) if rank == 0 else None
    vae.to(plan.device)
    log, shown, looked = Log(), time.monotonic(), time.monotonic()
    course = pupil.course
    while not _all_over(course, plan):
        common = random.Random(course.steps)
        log.note(*pupil.learn(*shelf.batch(rng, common, course.share, plan.batch)))
        if plan.workers > 1 and course.steps % MEET_EVERY == 0:
            pupil.meet()
        if rank == 0 and course.steps % 100 == 0:
            print(log.line(course, plan.workers), flush=True)
        if course.steps % 400 == 0:
            shelf.refresh()
        if probe and time.monotonic() - shown > plan.look_every:
            shown = time.monotonic()
            pupil.show(vae, probe)
    del looked
    if probe:
        pupil.show(vae, probe)
        pupil.average.swap()
        pupil.text.to("cpu").half().save_pretrained(plan.out / "text_encoder")
        pupil.unet.to("cpu", memory_format=torch.contiguous_format).half().save_pretrained(
            plan.out / "unet"
        )
    if plan.workers > 1:
        dist.destroy_process_group()


def _all_over(course: Course, plan: Plan) -> bool:
    """Workers must stop at the same step, so they ask each other, at a meeting."""
    if plan.workers == 1:
        return course.over or course.steps >= plan.steps
    if course.steps % MEET_EVERY:
        return False
    over = torch.tensor([float(course.over or course.steps >= plan.steps)])
    dist.all_reduce(over)
    return over.item() > 0


class Log:
    """The loss since the last line, over all and by tenth of the noise levels."""

    def __init__(self) -> None:
        self.sums, self.counts = np.zeros(10), np.zeros(10)
        self.since, self.samples = time.monotonic(), 0

    def note(self, each: Tensor, level: Tensor) -> None:
        tenth = (level // 100).cpu().numpy()
        np.add.at(self.sums, tenth, each.cpu().numpy())
        np.add.at(self.counts, tenth, 1)
        self.samples += len(each)

    def line(self, course: Course, workers: int) -> str:
        now = time.monotonic()
        pace = self.samples * workers / (now - self.since)
        means = self.sums / np.maximum(1, self.counts)
        text = (
            f"unet {course.elapsed / 60:5.1f} min  seen {course.samples * workers / 1000:.0f} k"
            f"  {pace:.0f}/s  loss {self.sums.sum() / self.counts.sum():.4f}  by level "
            + " ".join(f"{m:.3f}" for m in means)
        )
        self.__init__()  # type: ignore[misc]
        return text


def train_unet(plan: Plan) -> None:
    (plan.work / "meeting").unlink(missing_ok=True)
    if plan.workers == 1:
        work_through(0, plan)
    else:
        os.environ.update(KEEP_MEMORY)  # read by the C library when a worker starts
        torch.multiprocessing.start_processes(
            work_through, (plan,), nprocs=plan.workers, start_method="spawn"
        )
