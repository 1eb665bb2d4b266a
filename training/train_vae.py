"""Trains the VAE: an autoencoder with latents of an eighth of the size (Rombach 2022).

A VAE of this size fails in its own ways, and three measures prevent that. Two groups in every group
norm, since eight groups of 16 channels lose flat colours. An identity-like initialization, since
with the usual one the four channels collapse to luminance. And whitening: the decoder only sees
latents of mean 0 and covariance 1, so that the four channels stay independent, and the denoiser
later gets the unit variance that its noise schedule assumes.
"""

import math
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

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

SCALING = 0.18215  # Stable Diffusion's; the quant convolutions undo it
VARIED = MixRatios(scene=0.3, pair=0.1, several=0.2, empty=0.0, pattern=0.3, style=0.3)
SIDES = (192, 256, 320, 384)
CROP = 80
BATCH = 8
APART = 0.25  # from the border's colour, in -1..1: belongs to an object
BARELY_SEEN = 0.08  # a step between two pixels in -1..1


def new_vae() -> AutoencoderKL:
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=256,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        norm_num_groups=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        mid_block_add_attention=False,
        scaling_factor=SCALING,
    )
    _start_like_identity(vae)
    return vae.to(memory_format=torch.channels_last)


@torch.no_grad()
def _start_like_identity(vae: AutoencoderKL) -> None:
    """Residual branches start at zero; shortcuts, down- and upsampling pass channels through."""
    pool, pass_on = torch.zeros(3, 3), torch.zeros(3, 3)
    pool[:2, :2], pass_on[1, 1] = 0.25, 1.0
    for name, module in vae.named_modules():
        if isinstance(module, ResnetBlock2D):
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()
            if module.conv_shortcut is not None:
                _pass_through(module.conv_shortcut.weight, torch.ones(1, 1))
        elif name.endswith("downsamplers.0.conv"):
            _pass_through(module.weight, pool)
        elif name.endswith("upsamplers.0.conv"):
            _pass_through(module.weight, pass_on)


def _pass_through(weight: Tensor, kernel: Tensor) -> None:
    weight.mul_(0.1)  # (out, in, k, k)
    out, into = weight.shape[:2]
    for c in range(max(out, into)):
        weight[c % out, c % into] += kernel


class Whitening:
    """Running mean and covariance of the four latent channels, and the map to mean 0, covariance
    1."""

    def __init__(self, device: str = "cpu") -> None:
        self.mean = torch.zeros(4, device=device)
        self.covariance = torch.eye(4, device=device)
        self.steps = 0

    @torch.no_grad()
    def observe(self, latents: Tensor) -> None:
        flat = latents.permute(0, 2, 3, 1).reshape(-1, 4)  # (b, 4, h, w) → (b h w, 4)
        self.steps += 1
        weight = max(0.01, 1 / self.steps)
        self.mean = self.mean.lerp(flat.mean(0), weight)
        centred = flat - self.mean  # (b h w, 4)
        self.covariance = self.covariance.lerp(centred.T @ centred / len(centred), weight)

    def matrix(self) -> Tensor:
        """The inverse of the Cholesky factor: covariance = L Lᵀ, so L⁻¹ x has covariance 1."""
        eye = torch.eye(4, device=self.covariance.device)
        steady = self.covariance + 1e-5 * self.covariance.diagonal().mean() * eye  # (4, 4)
        inverse: Tensor = torch.linalg.inv(torch.linalg.cholesky(steady))
        return inverse

    def __call__(self, latents: Tensor) -> Tensor:
        centred = latents - self.mean[None, :, None, None]  # (b, 4, h, w)
        return torch.einsum("ij,bjhw->bihw", self.matrix(), centred)

    def state(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "covariance": self.covariance}


@torch.no_grad()
def fold(vae: AutoencoderKL, whitening: Whitening) -> None:
    """Put the whitening, and 1 / SCALING, into the 1x1 convolutions around the latents."""
    matrix, into, out = whitening.matrix(), vae.quant_conv, vae.post_quant_conv
    into.weight[:4] = torch.einsum("ij,jcxy->icxy", matrix, into.weight[:4]) / SCALING
    into.bias[:4] = matrix @ (into.bias[:4] - whitening.mean) / SCALING  # (4,)
    into.weight[4:] = 0
    into.bias[4:] = 2 * math.log(0.03 / SCALING)  # the log variance: almost none
    out.weight.mul_(SCALING)


def crops(rng: random.Random, count: int = BATCH) -> Tensor:
    """(count, 3, 80, 80) in -1..1: crops of new images of every size."""
    cut: list[np.ndarray] = []
    while len(cut) < count:
        w, h = rng.choice(SIDES), rng.choice(SIDES)
        pixels = np.asarray(render(sample_any_spec(rng, VARIED), w, h, rng.getrandbits(32)).image)
        if rng.random() < 0.2:
            pixels = pixels[..., rng.sample(range(3), 3)]  # colours outside the palette
        for _ in range(2):
            x, y = rng.randint(0, w - CROP), rng.randint(0, h - CROP)
            piece = pixels[y : y + CROP, x : x + CROP]  # (80, 80, 3)
            cut.append(piece[:, ::-1] if rng.random() < 0.5 else piece)
    batch = torch.from_numpy(np.stack(cut[:count])).permute(0, 3, 1, 2)  # (count, 3, 80, 80)
    return batch.float() / 127.5 - 1


def reconstruct(vae: AutoencoderKL, whitening: Whitening, pixels: Tensor, device: str) -> Tensor:
    """Encode and decode, with a little noise on the latents, for a robust decoder."""
    with precision(device):
        latents = vae.quant_conv(vae.encoder(pixels))[:, :4]  # (b, 3, 8h, 8w) → (b, 4, h, w)
    latents = latents.float()
    whitening.observe(latents)
    latents = whitening(latents)  # mean 0, covariance 1
    noise = torch.rand(len(latents), 1, 1, 1, device=latents.device) * 0.12
    latents = latents + noise * torch.randn_like(latents)
    with precision(device):
        pixels_again: Tensor = vae.decoder(vae.post_quant_conv(latents))  # (b, 3, 8h, 8w)
    return pixels_again.float()


def picture_loss(made: Tensor, wanted: Tensor, gradients: float = 0.5) -> Tensor:
    """L1, L1 of the gradients (for edges and flat surfaces), and a little MSE (for large
    errors)."""
    across = (made.diff(dim=3) - wanted.diff(dim=3)).abs().mean()
    down = (made.diff(dim=2) - wanted.diff(dim=2)).abs().mean()
    return F.l1_loss(made, wanted) + gradients * (across + down) + 0.5 * F.mse_loss(made, wanted)


def edge_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 of the gradients on a scale that saturates: a soft edge costs more than one that is sharp
    and a pixel off, and so does a texture on an even surface."""
    across = (_saturate(made.diff(dim=3)) - _saturate(wanted.diff(dim=3))).abs().mean()
    down = (_saturate(made.diff(dim=2)) - _saturate(wanted.diff(dim=2))).abs().mean()
    return across + down


def colour_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of the means of 4 x 4 pixels, without edges and textures: half of it of what
    differs from an image's border, however little that is. Both (b, 3, h, w) in -1..1."""
    colours = F.avg_pool2d(wanted, 4)  # (b, 3, h / 4, w / 4)
    error = (F.avg_pool2d(made, 4) - colours).square().mean(1)  # (b, h / 4, w / 4)
    # The top and both sides: below, a landscape has its ground.
    border = torch.cat([colours[..., 0], colours[..., -1], colours[..., 0, :]], 2)  # (b, 3, n)
    ground = border.median(2).values[:, :, None, None]  # (b, 3, 1, 1)
    apart = ((colours - ground).abs().amax(1) > APART).float()  # (b, h / 4, w / 4)
    return (_mean(error, apart) + _mean(error, 1 - apart)) / 2


def _mean(values: Tensor, share: Tensor) -> Tensor:
    return (values * share).sum() / share.sum().clamp(min=1)


def _saturate(step: Tensor) -> Tensor:
    size = step.abs()  # between two pixels, each in -1..1
    return size / (size + BARELY_SEEN)


def train_vae(out: Path, work: Path, minutes: float, device: str = "cpu", seed: int = 0) -> None:
    """Train for this many minutes (over all runs) and write `out`/vae."""
    torch.manual_seed(seed)
    vae, whitening = new_vae().to(device), Whitening(device)
    course = TrainingClock(minutes * 60)
    weights = list(vae.parameters())
    optimizer = torch.optim.AdamW(weights, 1e-3, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    average = ExponentialAverage(weights, 0.995)
    if saved := load_checkpoint(work / "vae.pt", device):
        vae.load_state_dict(saved["vae"])
        optimizer.load_state_dict(saved["optimizer"])
        average.resume(saved["average"])
        whitening.mean, whitening.covariance = (
            saved["whitening"][k] for k in ("mean", "covariance")
        )
        whitening.steps = course.steps or 1000
        course.resume(saved["course"])

    def checkpoint() -> None:
        save_checkpoint(
            work / "vae.pt",
            {
                "vae": vae.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.state(),
                "whitening": whitening.state(),
                "course": course.state(),
            },
        )

    rng = random.Random(seed * 1_000_003 + course.steps)
    losses: list[float] = []
    while not course.over:
        set_rate(optimizer, course.rate(1.5e-3, 3e-5, warm=50))
        batch = crops(rng, BATCH if device == "cpu" else 64)
        pixels = batch.to(device).contiguous(memory_format=torch.channels_last)
        loss = picture_loss(reconstruct(vae, whitening, pixels, device), pixels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()
        course.step(len(pixels))
        losses.append(loss.item())
        if course.steps % 200 == 0:
            pace = course.samples / course.elapsed
            print(
                f"vae {course.elapsed:5.0f} s  step {course.steps}  loss "
                f"{np.mean(losses[-200:]):.4f}  {pace:.0f} crops/s",
                flush=True,
            )
        if course.steps % 1000 == 0:
            checkpoint()
    checkpoint()
    average.swap()
    fold(vae, whitening)
    vae.to("cpu", memory_format=torch.contiguous_format).half().save_pretrained(out / "vae")
    print(f"vae  done: {fidelity(out):.2f} dB on pictures it has not seen", flush=True)


@torch.no_grad()
def fidelity(out: Path, count: int = 24) -> float:
    """PSNR in dB, mean over whole unseen pictures at 256 x 256, of encode and decode."""
    vae = AutoencoderKL.from_pretrained(out / "vae").float().eval()
    rng = random.Random(987_654)
    ratios = []
    for _ in range(count):
        drawn = np.asarray(render(sample_spec(rng, VARIED), 256, 256, rng.getrandbits(32)).image)
        pixels = torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        again = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
        ratios.append(-10 * math.log10(F.mse_loss(again / 2, pixels / 2).item()))
    return float(np.mean(ratios))
