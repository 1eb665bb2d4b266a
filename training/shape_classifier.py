"""The shape classifier: a small network trained on the renderer's whole objects."""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.arrangements import KINDS, Arrangement, Item
from training.drawing import render
from training.image_analysis import Region, whole
from training.objects import KINDS as FIRST_KINDS
from training.palette import NAMES, alike
from training.scene_specs import SIZES, AnySpec, ObjectScene, SceneObject

READER = Path(__file__).with_name("reader.safetensors")


def new_reader() -> nn.Sequential:
    """(b, 2, 32, 32) → (b, 51); 140 thousand weights."""
    return nn.Sequential(
        nn.Conv2d(2, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 16 x 16
        nn.Conv2d(24, 48, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 8 x 8
        nn.Conv2d(48, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 4 x 4
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64 * 16, 96),
        nn.ReLU(),
        nn.Linear(96, len(KINDS)),
    )


def make_views(
    rng: random.Random, count: int, kinds: tuple[str, ...] = KINDS
) -> tuple[Tensor, Tensor]:
    """Views of drawn objects, some of them blurred and noisy, and their kinds."""
    seen: list[np.ndarray] = []
    drawn: list[int] = []
    while len(seen) < count:
        kind, colour, ground = rng.choice(kinds), rng.choice(NAMES), rng.choice(NAMES)
        if colour == ground or alike(colour, ground):
            continue
        side = rng.choice((128, 160, 192))
        spec = _draw_alone(rng, kind, colour, ground)
        image = render(spec, side, side, rng.getrandbits(32)).image
        if rng.random() < 0.7:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, side / 80)))
        if rng.random() < 0.4:
            noise = np.random.RandomState(rng.getrandbits(31)).normal(0, 5, (side, side, 3))
            image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
        seen.append(whole(image).view)
        drawn.append(KINDS.index(kind))
    return torch.from_numpy(np.stack(seen)), torch.tensor(drawn)


def _draw_alone(rng: random.Random, kind: str, colour: str, ground: str) -> AnySpec:
    size = rng.choice(SIZES)
    if kind in FIRST_KINDS and rng.random() < 0.7:
        return ObjectScene((SceneObject(kind, colour, size),), ground)
    return Arrangement((Item(kind, colour, size),), ground)


def train_reader(count: int = 20_000, epochs: int = 16, seed: int = 3) -> float:
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
    save_file({name: w.half().contiguous() for name, w in reader.state_dict().items()}, READER)
    return reader_accuracy()


@torch.no_grad()
def reader_accuracy(
    count: int = 1000, seed: int = 77, kinds: tuple[str, ...] = FIRST_KINDS
) -> float:
    """The share of new drawings of these kinds that it reads right."""
    x, y = make_views(random.Random(seed), count, kinds)
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
