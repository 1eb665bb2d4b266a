"""Drawings as latents, each with the edges that a ControlNet sees of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from dream.engine.vision.control_maps.edges import draw_canny
from training.captions import caption
from training.drawing import render
from training.latent_dataset import seeds_of
from training.scene_specs import AnySpec, MixRatios, ObjectScene, sample_any_spec
from training.train_vae import SCALING

MIX = MixRatios(
    scene=0.05, pair=0.15, several=0.08, empty=0.01, pattern=0.1, style=0.04, arrangement=0.12
)
CHUNK = 16
WIDER = 0.25  # this share of the maps has wider lines, as if drawn by hand
UNPLACED = 0.6  # this share of the captions leaves places and sizes to the edges


@dataclass(frozen=True)
class ControlDataset:
    """Square images of one size."""

    latents: np.ndarray  # (n, 4, h, w) float16, scaled as the UNet sees them
    edges: np.ndarray  # (n, 8h, w) uint8: eight pixels of a row in each byte
    specs: tuple[AnySpec, ...]

    def sample_batch(self, rng: random.Random, size: int) -> tuple[Tensor, Tensor, list[str]]:
        """(b, 4, h, w) latents, (b, 3, 8h, 8w) maps in 0..1, and a new caption for each."""
        rows = [rng.randrange(len(self.specs)) for _ in range(size)]
        maps = np.unpackbits(self.edges[rows], axis=2) * np.uint8(255)  # (b, 8h, 8w)
        maps = np.stack([_widen(rng, each) for each in maps])
        latents = torch.from_numpy(self.latents[rows].astype(np.float32))
        seen = torch.from_numpy(maps).float()[:, None].expand(-1, 3, -1, -1) / 255
        return latents, seen, [caption(rng, _leave_out(rng, self.specs[row])) for row in rows]


def _leave_out(rng: random.Random, spec: AnySpec) -> AnySpec:
    if not isinstance(spec, ObjectScene) or spec.relation or rng.random() >= UNPLACED:
        return spec
    return replace(spec, objects=tuple(replace(o, place="center", size="") for o in spec.objects))


def _widen(rng: random.Random, edges: np.ndarray) -> np.ndarray:
    if rng.random() >= WIDER:
        return edges
    side = rng.choice((2, 3, 4))
    return np.asarray(cv2.dilate(edges, np.ones((side, side), np.uint8)), np.uint8)


@torch.no_grad()
def write_control_dataset(path: Path, vae: AutoencoderKL, count: int, side: int, seed: int) -> None:
    """Draw, encode and write `count` images of side x side pixels."""
    seeds = seeds_of(count, seed)
    latents = np.empty((count, 4, side // 8, side // 8), np.float16)
    edges = np.empty((count, side, side // 8), np.uint8)
    for start in range(0, count, CHUNK):
        some = seeds[start : start + CHUNK]
        images = [render(sample_any_spec(random.Random(s), MIX), side, side, s).image for s in some]
        for row, image in enumerate(images, start):
            edges[row] = np.packbits(np.asarray(draw_canny(image))[..., 0] > 127, axis=1)
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
        encoded = vae.encode(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
        latents[start : start + len(some)] = encoded.latent_dist.mode().numpy() * SCALING
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        np.savez(file, latents=latents, edges=edges, seeds=np.array(seeds, np.int64))
    temporary.replace(path)


def open_control_dataset(path: Path) -> ControlDataset:
    with np.load(path) as saved:
        specs = tuple(sample_any_spec(random.Random(int(s)), MIX) for s in saved["seeds"])
        return ControlDataset(saved["latents"], saved["edges"], specs)
