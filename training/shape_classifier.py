"""The shape classifier: a small network trained on the renderer's whole objects."""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.drawing import render
from training.image_analysis import Region, whole
from training.objects import KINDS
from training.palette import NAMES
from training.scene_specs import SIZES, ObjectScene, SceneObject

READER = Path(__file__).with_name("reader.safetensors")


def new_reader() -> nn.Sequential:
    """(b, 2, 32, 32) → (b, 18); 40 thousand weights."""
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 16 x 16
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 8 x 8
        nn.Conv2d(32, 48, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 4 x 4
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(48 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, len(KINDS)),
    )


def make_views(rng: random.Random, count: int) -> tuple[Tensor, Tensor]:
    """Views of drawn objects, some of them blurred and noisy, and their kinds."""
    seen: list[np.ndarray] = []
    kinds: list[int] = []
    while len(seen) < count:
        kind, colour, ground = rng.choice(KINDS), rng.choice(NAMES), rng.choice(NAMES)
        if colour == ground:
            continue
        side = rng.choice((128, 160, 192))
        still = ObjectScene((SceneObject(kind, colour, rng.choice(SIZES)),), ground)
        image = render(still, side, side, rng.getrandbits(32)).image
        if rng.random() < 0.7:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, side / 80)))
        if rng.random() < 0.4:
            noise = np.random.RandomState(rng.getrandbits(31)).normal(0, 5, (side, side, 3))
            image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
        seen.append(whole(image).view)
        kinds.append(KINDS.index(kind))
    return torch.from_numpy(np.stack(seen)), torch.tensor(kinds)


def train_reader(count: int = 9000, epochs: int = 14, seed: int = 3) -> float:
    """Train the classifier, write it next to this file, return its accuracy on new drawings."""
    torch.manual_seed(seed)
    x, y = make_views(random.Random(seed), count)  # (count, 2, 32, 32), (count,)
    reader = new_reader()
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - epoch / epochs)
        for rows in torch.randperm(count).split(64):
            shift = torch.randint(-2, 3, (2,)).tolist()
            seen = torch.roll(x[rows], shift, (2, 3))
            loss = F.cross_entropy(reader(seen), y[rows], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    save_file({name: w.contiguous() for name, w in reader.state_dict().items()}, READER)
    return reader_accuracy()


@torch.no_grad()
def reader_accuracy(count: int = 1000, seed: int = 77) -> float:
    x, y = make_views(random.Random(seed), count)
    right: Tensor = load_reader()(x).argmax(1) == y  # (count,)
    return float(right.float().mean())


def load_reader() -> nn.Sequential:
    reader = new_reader().eval()
    reader.load_state_dict(load_file(READER))
    return reader


@torch.no_grad()
def read_kinds(reader: nn.Sequential, regions: list[Region]) -> list[str]:
    if not regions:
        return []
    seen = torch.from_numpy(np.stack([region.view for region in regions]))
    return [KINDS[i] for i in reader(seen).argmax(1).tolist()]
