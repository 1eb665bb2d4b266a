"""The object reader: finds every object in an image, with its kind and colours, and the landscape.

A small network looks through square windows of several sizes, as the first detectors did (Rowley
1998), and says which object exactly fills a window, or that none does. It is trained on drawings,
so it reads what `analyze` cannot separate: objects in a landscape, inside or in front of another.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.arrangements import KINDS, Arrangement, sample_arrangement
from training.drawing import Drawing, Spot, render
from training.palette import NAMES
from training.settings import SETTINGS

FILE = Path(__file__).with_name("object_reader.safetensors")
WINDOW = 32  # pixels per side that the network sees
MARGIN = 1.3  # half a window's side, in radii of the object
RADII = (0.105, 0.14, 0.185, 0.245, 0.32, 0.42)  # of the windows, in shares of the shorter side
STRIDE = 4  # pixels of a window from one to the next
KIND_ANSWERS = ("", *KINDS)  # "": no object, or one that does not fill the window
COLOUR_ANSWERS = NAMES
SECOND_ANSWERS = ("", *NAMES)
SETTING_ANSWERS = ("", *SETTINGS)  # of a window that is the whole image; "": a plain background
ANSWERS = (KIND_ANSWERS, COLOUR_ANSWERS, SECOND_ANSWERS, SETTING_ANSWERS)
IGNORED = -100  # a question that is not asked about a window
SURE = 0.5  # least probability of an object
TWO_COLOURED = 0.25  # of the training's images at least this share has an object of two colours
FLAT = 0.03  # a window that varies less, in -1..1, shows no object


@dataclass(frozen=True)
class Found:
    """An object: its middle and radius in shares of width, height and shorter side."""

    kind: str
    colours: tuple[str, ...]  # one or two
    x: float
    y: float
    radius: float
    score: float


class ObjectReader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 16 x 16
            nn.Conv2d(24, 48, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 8 x 8
            nn.Conv2d(48, 80, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 4 x 4
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(80 * 16, 160),
            nn.ReLU(),
        )
        self.sizes = [len(answers) for answers in ANSWERS]
        self.say = nn.Linear(160, sum(self.sizes))

    def forward(self, windows: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, 32, 32) in -1..1 → for each question (n, answers)."""
        said: tuple[Tensor, ...] = self.say(self.see(windows)).split(self.sizes, dim=1)
        return said


# ---------------------------------------------------------------- training


def make_windows(rng: random.Random, pictures: int) -> tuple[Tensor, Tensor]:
    """(n, 3, 32, 32) uint8 and the answers (n, 4), from this many drawings."""
    windows: list[np.ndarray] = []
    answers: list[tuple[int, int, int, int]] = []
    for _ in range(pictures):
        spec, side = _sample(rng), rng.choice((112, 128, 160, 192))
        drawing = render(spec, side, side, rng.getrandbits(32))
        image = _worsen(rng, drawing.image)
        for box, answer in _choose_windows(rng, drawing, side):
            windows.append(_cut(image, box))
            answers.append((*answer, IGNORED))
        setting = SETTING_ANSWERS.index(spec.setting)
        windows.append(_cut(image, (0, 0, side, side)))
        answers.append((IGNORED, IGNORED, IGNORED, setting))
    pixels = torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor(answers)


def _sample(rng: random.Random) -> Arrangement:
    """An arrangement; more often than in training one with an object of two colours, whose halves
    are easily taken for objects."""
    wanted = rng.random() < TWO_COLOURED
    while True:
        spec = sample_arrangement(rng)
        if not wanted or any(item.second for item in spec.items):
            return spec


def _worsen(rng: random.Random, image: Image.Image) -> Image.Image:
    """What a model's images have and drawings have not: soft edges, noise."""
    side = image.width
    if rng.random() < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, side / 90)))
    if rng.random() < 0.5:
        noise = np.random.RandomState(rng.getrandbits(31)).normal(
            0, rng.uniform(1, 7), (side, side, 3)
        )
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    return image


Box = tuple[float, float, float, float]


def _choose_windows(
    rng: random.Random, drawing: Drawing, side: int
) -> list[tuple[Box, tuple[int, int, int]]]:
    """Windows that an object fills, about as many that none fills, and their answers."""
    chosen = []
    nothing = (0, IGNORED, IGNORED)
    for spot in drawing.spots:
        assert spot.item is not None
        r, item = spot.radius, spot.item
        second = SECOND_ANSWERS.index(item.second)
        answer = (KIND_ANSWERS.index(item.kind), NAMES.index(item.colour), second)
        for _ in range(2):
            shift = [rng.uniform(-0.2, 0.2) * r for _ in "xy"]
            box = _box(spot.x + shift[0], spot.y + shift[1], r * rng.uniform(0.84, 1.19))
            chosen.append((box, answer))
    for _ in range(2 * len(drawing.spots) + 2):
        lot = rng.random()
        if drawing.spots and lot < 0.8:  # a part of an object, or beside it, or of another size
            spot = rng.choice(drawing.spots)
            part = lot < 0.45
            r = spot.radius * rng.choice((0.3, 0.4, 0.5, 0.65) if part else (0.7, 1, 1, 1.5, 2))
            reach = 0.8 if part else 1.2
            x, y = (v + rng.uniform(-reach, reach) * spot.radius for v in (spot.x, spot.y))
        else:
            r = rng.choice(RADII) * side
            x, y = rng.uniform(0, side), rng.uniform(0, side)
        if not any(_nearly(spot, x, y, r) for spot in drawing.spots):
            chosen.append((_box(x, y, r), nothing))
    return chosen


def _nearly(spot: Spot, x: float, y: float, radius: float) -> bool:
    """Whether a window so placed might pass for one that the object fills."""
    off = max(abs(spot.x - x), abs(spot.y - y)) / spot.radius
    return off < 0.45 and 0.68 < radius / spot.radius < 1.47


def _box(x: float, y: float, radius: float) -> Box:
    half = MARGIN * radius
    return x - half, y - half, x + half, y + half


def _cut(image: Image.Image, box: Box) -> np.ndarray:
    """(32, 32, 3): the window, beyond the image's edge continued by its outermost pixels."""
    left, top, right, bottom = box
    pad = int(max(0, -left, -top, right - image.width, bottom - image.height)) + 2
    wide = np.pad(np.asarray(image), ((pad, pad), (pad, pad), (0, 0)), "edge")
    moved = (left + pad, top + pad, right + pad, bottom + pad)
    return np.asarray(
        Image.fromarray(wide).resize((WINDOW, WINDOW), Image.Resampling.BOX, moved), np.uint8
    )


def as_input(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


def loss(said: tuple[Tensor, ...], answers: Tensor) -> Tensor:
    """answers (n, 4) → the mean cross entropy of every question that is asked."""
    each = [
        F.cross_entropy(part, answer, ignore_index=IGNORED, label_smoothing=0.02)
        for part, answer in zip(said, answers.T, strict=True)
    ]
    return torch.stack([part for part in each if part.isfinite()]).sum()


def train(
    pictures: int = 14_000, epochs: int = 6, seed: int = 5, rate: float = 2e-3, out: Path = FILE
) -> None:
    """Train the reader, from the weights in `out` if there are any, and write it there."""
    torch.manual_seed(seed)
    pixels, answers = make_windows(random.Random(seed), pictures)
    reader = (load(out) if out.exists() else ObjectReader()).train()
    optimizer = torch.optim.AdamW(reader.parameters(), rate)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - epoch / epochs)
        for rows in torch.randperm(len(pixels)).split(128):
            loss(reader(as_input(pixels[rows])), answers[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"object reader  epoch {epoch + 1}", flush=True)
    save_file({name: w.half().contiguous() for name, w in reader.state_dict().items()}, out)


def load(path: Path = FILE) -> ObjectReader:
    reader = ObjectReader().eval()
    reader.load_state_dict(load_file(path))
    return reader


# ---------------------------------------------------------------- reading


@torch.no_grad()
def find_objects(reader: ObjectReader, image: Image.Image) -> list[Found]:
    """The objects in an image, the surest first."""
    pixels = as_input(torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None])
    found = [each for radius in RADII for each in _look(reader, pixels, radius)]
    found.sort(key=lambda each: -each.score)
    kept: list[Found] = []
    for each in found:
        if not any(_same_place(each, other) for other in kept):
            kept.append(each)
    return kept


def _look(reader: ObjectReader, pixels: Tensor, radius: float) -> list[Found]:
    """What fills the windows of one size; pixels (1, 3, h, w)."""
    h, w = pixels.shape[2:]
    scale = WINDOW / (2 * MARGIN * radius * min(h, w))
    size = (max(1, round(h * scale)), max(1, round(w * scale)))
    small = F.interpolate(pixels, size, mode="area")
    pad = WINDOW // 2
    small = F.pad(small, (pad, pad, pad, pad), mode="replicate")
    windows = small.unfold(2, WINDOW, STRIDE).unfold(3, WINDOW, STRIDE)  # (1, 3, i, j, 32, 32)
    columns = windows.shape[3]
    flat = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, WINDOW, WINDOW)
    busy = (flat.std((2, 3)).amax(1) > FLAT).nonzero()[:, 0]  # (n,): numbers of windows
    if not len(busy):
        return []
    kinds, colours, seconds, _ = (part.softmax(1) for part in reader(flat[busy]))
    score = 1 - kinds[:, 0]  # (n,)
    found = []
    for i in (score > SURE).nonzero()[:, 0].tolist():
        row, column = divmod(int(busy[i]), columns)
        named = COLOUR_ANSWERS[int(colours[i].argmax())], SECOND_ANSWERS[int(seconds[i].argmax())]
        found.append(
            Found(
                KIND_ANSWERS[1 + int(kinds[i, 1:].argmax())],
                tuple(colour for colour in named if colour),
                (column * STRIDE) / size[1],
                (row * STRIDE) / size[0],
                radius,
                float(kinds[i, 1:].max()),
            )
        )
    return found


def _same_place(one: Found, other: Found) -> bool:
    """Whether two windows show the same object: alike in size and near each other."""
    near = max(abs(one.x - other.x), abs(one.y - other.y))
    ratio = one.radius / other.radius
    return near < 0.7 * max(one.radius, other.radius) and 0.5 < ratio < 2


@torch.no_grad()
def read_setting(reader: ObjectReader, image: Image.Image) -> str:
    """The landscape of an image, as a key of SETTINGS; empty for a plain background."""
    box = (0, 0, image.width, image.height)
    window = torch.from_numpy(np.array(_cut(image.convert("RGB"), box)))
    answer = reader(as_input(window.permute(2, 0, 1)[None]))[3]
    return SETTING_ANSWERS[int(answer.argmax())]


if __name__ == "__main__":
    train()
