"""Trains the upscaler: SRVGGNetCompact (Real-ESRGAN, Wang 2021), 4x, 107 k weights.

Half of its input is degraded as in practice: blurred, noisy, compressed as JPEG. The other half is
only shrunk: nothing else teaches it where exactly an edge lies. The file has Real-ESRGAN's format,
so any program that loads those loads it.
"""

import io
import math
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor, nn

from training.drawing import render
from training.scene_specs import MixRatios, sample_any_spec, sample_spec
from training.training_clock import (
    ExponentialAverage,
    TrainingClock,
    load_checkpoint,
    precision,
    save_checkpoint,
    set_rate,
)

VARIED = MixRatios(scene=0.3, pair=0.1, several=0.2, empty=0.0, pattern=0.3, style=0.3)
RICHER = MixRatios(
    scene=0.3, pair=0.1, several=0.2, empty=0.0, pattern=0.3, style=0.3, arrangement=0.5
)
SCALE = 4
CROP = 96
FEATURES, CONVOLUTIONS = 32, 10
DEGRADED = 0.5
CANDIDATES = 3  # of so many crops the one with the most edges is learned from …
ANY = 0.2  # … but not always: flat surfaces must stay flat
PIECES = 6  # crops of one picture: drawing it costs as much as learning from two


class SRVGGNetCompact(nn.Module):
    """The same network as basicsr's, with the same names; basicsr is not needed to train it."""

    def __init__(self, features: int = FEATURES, convolutions: int = CONVOLUTIONS) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, 1, 1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, 1, 1), nn.PReLU(features)]
        layers.append(nn.Conv2d(features, 3 * SCALE**2, 3, 1, 1))
        self.body = nn.ModuleList(layers)
        self.upsampler = nn.PixelShuffle(SCALE)

    def forward(self, small: Tensor) -> Tensor:
        """(b, 3, h, w) in 0..1 → (b, 3, 4h, 4w): what to add to the nearest-neighbour image."""
        x = small
        for layer in self.body:
            x = layer(x)  # (b, 32, h, w), at last (b, 48, h, w)
        sharp: Tensor = self.upsampler(x)  # (b, 3, 4h, 4w)
        return sharp + F.interpolate(small, scale_factor=SCALE, mode="nearest")


def shrunk(rng: random.Random, image: Image.Image) -> Image.Image:
    """The image at a quarter of the size, half of the time degraded."""
    if rng.random() > DEGRADED:
        size = (image.width // SCALE, image.height // SCALE)
        return image.resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.6)))
    way = rng.choice((Image.Resampling.BICUBIC, Image.Resampling.BICUBIC, Image.Resampling.BOX))
    small = image.resize((image.width // SCALE, image.height // SCALE), way)
    if rng.random() < 0.5:
        noise = np.random.RandomState(rng.getrandbits(31)).normal(
            0, rng.uniform(0.5, 5), (small.height, small.width, 3)
        )
        small = Image.fromarray((np.asarray(small) + noise).clip(0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        squeezed = io.BytesIO()
        small.save(squeezed, "JPEG", quality=rng.randint(60, 95))
        small = Image.open(squeezed).convert("RGB")
    return small


def as_tensor(image: Image.Image) -> Tensor:
    """(3, h, w) in 0..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def pairs(rng: random.Random, count: int) -> tuple[Tensor, Tensor]:
    """(count, 3, 24, 24) and (count, 3, 96, 96)."""
    small: list[Tensor] = []
    large: list[Tensor] = []
    while len(large) < count:
        picture = render(sample_any_spec(rng, RICHER), 256, 256, rng.getrandbits(32)).image
        for _ in range(PIECES):
            piece = _cut(rng, picture)
            if rng.random() < 0.7:
                piece = piece.transpose(rng.choice(tuple(Image.Transpose)))
            if rng.random() < 0.4:
                piece = Image.merge("RGB", rng.sample(piece.split(), 3))
            large.append(as_tensor(piece))
            small.append(as_tensor(shrunk(rng, piece)))
    return torch.stack(small[:count]), torch.stack(large[:count])


def _cut(rng: random.Random, picture: Image.Image) -> Image.Image:
    """A crop, as a rule one with edges."""
    pieces = []
    for _ in range(1 if rng.random() < ANY else CANDIDATES):
        x, y = rng.randint(0, picture.width - CROP), rng.randint(0, picture.height - CROP)
        pieces.append(picture.crop((x, y, x + CROP, y + CROP)))
    return max(pieces, key=_edges)


def _edges(piece: Image.Image) -> float:
    pixels = np.asarray(piece, np.int16)
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())


def charbonnier(made: Tensor, wanted: Tensor, softness: float) -> Tensor:
    """L1 with a rounded tip (Charbonnier 1994): plain L1 would settle for nearest-neighbour."""
    return ((made - wanted).square() + softness**2).sqrt().mean()


def train_upscaler(
    out: Path, work: Path, minutes: float, device: str = "cpu", seed: int = 0
) -> None:
    """Train for this many minutes and write `out` (a .pth in Real-ESRGAN's format)."""
    torch.manual_seed(seed)
    net = SRVGGNetCompact().to(device)
    with torch.no_grad():
        next(net.body[-1].parameters()).mul_(0.3)  # the last layer's weight
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, betas=(0.9, 0.99), weight_decay=0)
    average = ExponentialAverage(list(net.parameters()), 0.998)
    course = TrainingClock(minutes * 60)
    if saved := load_checkpoint(work / "upscaler.pt", device):
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        average.resume(saved["average"])
        course.resume(saved["course"])
    rng = random.Random(seed * 1_000_003 + course.steps)
    losses: list[float] = []
    while not course.over:
        set_rate(optimizer, course.rate(2e-3, 2e-5, warm=50))
        small, large = (t.to(device) for t in pairs(rng, 24 if device == "cpu" else 96))
        with precision(device):
            made = net(small.contiguous(memory_format=torch.channels_last))  # (b, 3, 96, 96)
        loss = charbonnier(made.float(), large, 0.1 * (1 - course.share) + 0.02)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        average.update()
        course.step(len(large))
        losses.append(F.l1_loss(made.detach().float(), large).item())
        if course.steps % 200 == 0:
            print(
                f"upscaler {course.elapsed:4.0f} s  step {course.steps}  L1 "
                f"{np.mean(losses[-200:]):.4f}",
                flush=True,
            )
            save_checkpoint(
                work / "upscaler.pt",
                {
                    "net": net.state_dict(),
                    "course": course.state(),
                    "optimizer": optimizer.state_dict(),
                    "average": average.state(),
                },
            )
    average.swap()
    out.parent.mkdir(parents=True, exist_ok=True)
    params = {name: w.detach().cpu().contiguous() for name, w in net.state_dict().items()}
    torch.save({"params": params}, out)
    print(f"upscaler done: {gain(out):+.2f} dB over bicubic", flush=True)


def load_upscaler(path: Path) -> SRVGGNetCompact:
    """Any SRVGGNetCompact for 4x; its layers say how large it is."""
    params = torch.load(path, weights_only=True)["params"]
    convolutions = sum(weight.ndim == 4 for weight in params.values()) - 2
    net = SRVGGNetCompact(len(params["body.0.weight"]), convolutions)
    net.load_state_dict(params)
    return net.eval()


@torch.no_grad()
def gain(path: Path, count: int = 40) -> float:
    """Mean PSNR above bicubic's, in dB, on unseen images without other degradation."""
    net = load_upscaler(path)
    rng = random.Random(424_242)
    won = []
    for i in range(count):
        large = render(sample_spec(rng, VARIED), 256, 256, i).image
        small = large.resize((64, 64), Image.Resampling.BICUBIC)
        wanted = as_tensor(large)
        bicubic = as_tensor(small.resize((256, 256), Image.Resampling.BICUBIC))
        ours = net(as_tensor(small)[None])[0].clamp(0, 1)
        won.append(_psnr(ours, wanted) - _psnr(bicubic, wanted))
    return float(np.mean(won))


def _psnr(made: Tensor, wanted: Tensor) -> float:
    return -10 * math.log10(F.mse_loss(made, wanted).item() + 1e-8)
