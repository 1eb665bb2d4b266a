"""The decoder goes on learning, while encoder and latents stay as they are."""

import random
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from training.denoised_images import SIDES, DenoisedImages
from training.train_decoder import train_decoder
from training.train_vae import colour_loss, edge_loss

MODEL = Path("models/tiny")


def edge(*values: float) -> torch.Tensor:
    """An image of one row."""
    return torch.tensor(values)[None, None, None, :]


def test_a_soft_edge_costs_more_than_one_a_pixel_off() -> None:
    wanted = edge(-1, -1, -1, -1, 1, 1, 1, 1)
    shifted = edge(-1, -1, -1, 1, 1, 1, 1, 1)
    soft = edge(-1, -1, -0.6, -0.2, 0.2, 0.6, 1, 1)
    across = [edge_loss(e.expand(1, 1, 2, 8), wanted.expand(1, 1, 2, 8)) for e in (shifted, soft)]
    assert 0 < across[0] < across[1]
    assert edge_loss(wanted.expand(1, 1, 2, 8), wanted.expand(1, 1, 2, 8)) == 0


def test_a_paler_object_costs_more_than_one_a_pixel_off() -> None:
    wanted = -torch.ones(1, 3, 16, 16)
    wanted[:, 0, 4:12, 4:12] = 1
    paler, shifted = wanted.clone(), wanted.roll(1, 3)
    paler[:, :, 4:12, 4:12] += torch.tensor([-0.6, 0.6, 0.6])[:, None, None]
    assert 0 < colour_loss(shifted, wanted) < colour_loss(paler, wanted)
    texture = 0.2 * (torch.arange(16) % 2 * 2 - 1)
    assert colour_loss(wanted + texture, wanted) < 1e-6


def test_a_small_object_counts_as_much_as_a_large_one() -> None:
    costs = []
    for side in (8, 32):
        wanted = -torch.ones(1, 3, 64, 64)
        wanted[:, 0, 16 : 16 + side, 16 : 16 + side] = 1
        made = wanted.clone()
        made[:, 1, 16 : 16 + side, 16 : 16 + side] += 0.5
        costs.append(colour_loss(made, wanted).item())
    assert costs[0] == pytest.approx(costs[1])
    assert costs[0] == pytest.approx(0.5**2 / 3 / 2)
    even = torch.zeros(1, 3, 64, 64)
    assert colour_loss(even + 0.5, even).item() == pytest.approx(0.5**2 / 2)


def test_latents_are_those_of_their_images_which_are_whole() -> None:
    vae = AutoencoderKL.from_pretrained(MODEL / "vae").float().eval()
    torch.manual_seed(0)
    latents, pixels = DenoisedImages(MODEL, vae).sample(random.Random(3), 3)
    count, _, height, width = pixels.shape
    assert height == width and width in SIDES
    assert count * width**2 == pytest.approx(3 * 256**2, rel=0.3)
    assert latents.shape == (count, 4, height // 8, width // 8)
    with torch.no_grad():
        decoded = vae.decode(latents).sample.clamp(-1, 1)
    apart = (decoded - pixels).abs().mean((1, 2, 3))
    elsewhere = (decoded - pixels.flip(0)).abs().mean((1, 2, 3))
    assert apart.max() < 0.25
    assert apart.mean() < 0.4 * elsewhere.mean()


def test_only_the_decoder_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(MODEL, tmp_path / "tiny")
    train_decoder(tmp_path / "tiny", tmp_path, minutes=0.05)
    before = AutoencoderKL.from_pretrained(MODEL / "vae").state_dict()
    after = AutoencoderKL.from_pretrained(tmp_path / "tiny" / "vae").state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "post_quant_conv"}
