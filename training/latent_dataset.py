"""Images stored as latents, so that each is encoded only once.

A dataset is one file of images of one size. It stores the seeds, not the captions: the content of
an image follows from its seed, and an image gets a new caption each time it is used.
"""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.drawing import render
from training.scene_specs import AnySpec, MixRatios, sample_any_spec
from training.train_vae import SCALING
from training.training_clock import precision

MOST_SPOTS = 5
# Loss weight of the latents on and near an object; elsewhere it is 1. The smaller an object, the
# fewer latents show whether it is right, so each of them counts more.
ON_OBJECT, ON_SMALL_OBJECT = 2.0, 4.0
USUAL_RADIUS = 0.3  # share of the shorter side


@dataclass(frozen=True)
class LatentDataset:
    latents: np.ndarray  # (n, 4, h, w) float16, scaled as the UNet sees them
    spots: np.ndarray  # (n, 5, 3) float32: x, y, radius of up to five objects, in latents
    specs: tuple[AnySpec, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        h, w = self.latents.shape[2:]
        return w * 8, h * 8

    def weights(self, rows: np.ndarray) -> Tensor:
        """(b, 1, h, w): larger on objects, since few latents determine a shape; of two objects that
        overlap, the smaller one's."""
        h, w = self.latents.shape[2:]
        spots = torch.from_numpy(self.spots[rows])  # (b, 5, 3)
        x, y, radius = (spots[:, :, i, None, None] for i in range(3))  # each (b, 5, 1, 1)
        column = torch.arange(w)[None, None, None, :] + 0.5  # (1, 1, 1, w)
        row = torch.arange(h)[None, None, :, None] + 0.5  # (1, 1, h, 1)
        inside = (column - x) ** 2 + (row - y) ** 2 < (1.3 * radius) ** 2  # (b, 5, h, w)
        usual = USUAL_RADIUS * min(h, w)
        added = (ON_OBJECT - 1) * usual / radius.clamp(min=0.1)  # (b, 5, 1, 1)
        added = added.clamp(ON_OBJECT - 1, ON_SMALL_OBJECT - 1)
        on_objects: Tensor = (inside * added).amax(1, keepdim=True)
        return 1 + on_objects


def seeds_of(count: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.getrandbits(48) for _ in range(count)]


@torch.no_grad()
def write_latent_dataset(
    path: Path,
    vae: AutoencoderKL,
    mix: MixRatios,
    count: int,
    width: int,
    height: int,
    seed: int,
    device: str = "cpu",
) -> None:
    """Draw, encode and write `count` images."""
    seeds = seeds_of(count, seed)
    latents = np.empty((count, 4, height // 8, width // 8), np.float16)
    spots = np.zeros((count, MOST_SPOTS, 3), np.float32)
    for start, stop in _chunks(count, 16 if device == "cpu" else 256):
        drawings = [
            render(sample_any_spec(random.Random(s), mix), width, height, s)
            for s in seeds[start:stop]
        ]
        for row, drawing in enumerate(drawings, start):
            for i, spot in enumerate(drawing.spots[:MOST_SPOTS]):
                spots[row, i] = spot.x / 8, spot.y / 8, spot.radius / 8
        pixels = torch.from_numpy(np.stack([np.asarray(d.image) for d in drawings]))
        pixels = pixels.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with precision(device):
            encoded = vae.encode(pixels.contiguous(memory_format=torch.channels_last))
        latents[start:stop] = (encoded.latent_dist.mode().float() * SCALING).cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        np.savez(
            file,
            latents=latents,
            spots=spots,
            seeds=np.array(seeds, np.int64),
            mix=np.array(list(asdict(mix).values())),
        )
    temporary.replace(path)


def open_latent_dataset(path: Path) -> LatentDataset:
    with np.load(path) as saved:
        mix = MixRatios(*saved["mix"].tolist())
        specs = tuple(sample_any_spec(random.Random(int(s)), mix) for s in saved["seeds"])
        return LatentDataset(saved["latents"], saved["spots"], specs)


def _chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, size):
        yield start, min(count, start + size)
