"""Half a minute of training, to see that each part learns, is kept, and goes on where it was."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from training.latent_dataset import LatentDataset, open_latent_dataset, write_latent_dataset
from training.scene_specs import PLAIN, sample_spec
from training.train_text_encoder import QUESTIONS, answers, train_text
from training.train_upscaler import gain, train_upscaler
from training.train_vae import Whitening, new_vae, picture_loss, reconstruct, train_vae
from training.trainer import DatasetPool, TrainConfig, Trainer
from training.training_clock import (
    ExponentialAverage,
    TrainingClock,
    load_checkpoint,
    save_checkpoint,
)

MODEL = Path("models/tiny")


def test_the_denoiser_learns_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODEL / "tokenizer")
    vae = AutoencoderKL.from_pretrained(MODEL / "vae").float().eval()
    write_latent_dataset(tmp_path / "albums" / "a.npz", vae, PLAIN, 48, 128, 128, seed=1)
    plan = TrainConfig(MODEL, tmp_path, minutes=60, batch=8)
    trainer, pool, rng = (
        Trainer(plan, tokenizer),
        DatasetPool(tmp_path / "albums"),
        random.Random(0),
    )
    losses = []
    while trainer.course.steps < 36:
        batch = pool.sample_batch(rng, random.Random(trainer.course.steps), 0.0, plan.batch)
        losses.append(trainer.train_step(*batch)[0].mean().item())
    third = len(losses) // 3
    assert sum(losses[-third:]) < 0.95 * sum(losses[:third])

    trainer.checkpoint()
    again = Trainer(plan, tokenizer)
    assert again.course.steps == trainer.course.steps
    for mine, theirs in zip(again.weights, trainer.weights, strict=True):
        assert torch.equal(mine, theirs)


def test_without_a_checkpoint_it_can_go_on_from_the_model_itself(tmp_path: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODEL / "tokenizer")
    nothing = Trainer(TrainConfig(MODEL, tmp_path, minutes=1), tokenizer)
    resume = Trainer(TrainConfig(MODEL, tmp_path, minutes=1, resume=True), tokenizer)
    shipped = load_file(MODEL / "unet" / "diffusion_pytorch_model.safetensors")
    name = "conv_in.weight"
    assert torch.equal(resume.unet.state_dict()[name], shipped[name].float())
    assert not torch.equal(nothing.unet.state_dict()[name], shipped[name].float())
    assert resume.course.steps == 0
    for slow, weight in zip(resume.average.slow, resume.weights, strict=True):
        assert torch.equal(slow, weight)


def test_an_album_remembers_what_is_in_its_pictures(tmp_path: Path) -> None:
    vae = new_vae().eval()
    write_latent_dataset(tmp_path / "a.npz", vae, PLAIN, 6, 192, 128, seed=5)
    dataset = open_latent_dataset(tmp_path / "a.npz")
    assert dataset.size == (192, 128)
    assert dataset.latents.shape == (6, 4, 16, 24)
    assert len(dataset.specs) == 6
    assert dataset.specs == open_latent_dataset(tmp_path / "a.npz").specs


def test_the_text_encoder_learns_what_captions_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(MODEL / "tokenizer")
    train_text(MODEL, tmp_path, 0.05, tokenizer, batch=16)
    saved = load_checkpoint(tmp_path / "text.pt")
    assert saved is not None and saved["course"]["steps"] > 0


def test_every_picture_answers_every_question() -> None:
    for seed in range(200):
        given = answers(sample_spec(random.Random(seed), PLAIN))
        assert all(0 <= g < len(q) for g, q in zip(given, QUESTIONS.values(), strict=True))


def test_the_autoencoder_is_written_and_read(tmp_path: Path) -> None:
    train_vae(tmp_path / "out", tmp_path / "work", 0.05)
    vae = AutoencoderKL.from_pretrained(tmp_path / "out" / "vae")
    assert vae.config.scaling_factor == 0.18215


def test_folding_the_whitening_changes_nothing_but_where_it_is_done() -> None:
    torch.manual_seed(0)
    vae, whitening = new_vae(), Whitening()
    pixels = torch.rand(4, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        made = reconstruct(vae, whitening, pixels, "cpu")
        assert picture_loss(made, pixels).isfinite()
        plain = whitening(vae.quant_conv(vae.encoder(pixels))[:, :4])
        from training.train_vae import SCALING, fold

        fold(vae, whitening)
        folded = vae.encode(pixels).latent_dist.mode() * SCALING
    assert torch.allclose(plain, folded, atol=2e-2)


def test_the_upscaler_is_written_in_the_format_of_real_esrgan(tmp_path: Path) -> None:
    train_upscaler(tmp_path / "x4.pth", tmp_path, 0.03)
    params = torch.load(tmp_path / "x4.pth", weights_only=True)["params"]
    assert params["body.0.weight"].shape == (32, 3, 3, 3)
    assert params["body.22.weight"].shape == (48, 32, 3, 3)


def test_the_shipped_upscaler_is_small_and_beats_bicubic() -> None:
    path = Path("models/tiny-x4/tiny-x4.pth")
    assert path.stat().st_size <= 500_000
    assert gain(path, count=12) > 2.5


def test_a_course_left_and_taken_up_again_ends_on_time(tmp_path: Path) -> None:
    course = TrainingClock(100.0)
    course.step(16)
    save_checkpoint(tmp_path / "c.pt", course.state() | {"spent": 99.0})
    taken_up = TrainingClock(100.0)
    saved = load_checkpoint(tmp_path / "c.pt")
    assert saved is not None
    taken_up.resume(saved)
    assert (taken_up.steps, taken_up.samples) == (1, 16)
    assert 0.98 < taken_up.share < 1
    assert taken_up.rate(1e-3, 1e-5) < 1e-4


def test_the_rate_can_stay_high_before_it_falls() -> None:
    rates = []
    for spent in (0.0, 30.0, 64.0, 82.5, 100.0):
        course = TrainingClock(100.0, spent=spent, steps=1000)
        rates.append(course.rate(1e-3, 1e-5, hold=0.65))
    assert rates[:3] == pytest.approx([1e-3] * 3)
    assert rates[3:] == pytest.approx([0.505e-3, 1e-5], rel=0.01)


def test_small_images_come_in_larger_batches(tmp_path: Path) -> None:
    vae = new_vae().eval()
    for side in (128, 256):
        write_latent_dataset(tmp_path / f"{side}.npz", vae, PLAIN, 2, side, side, seed=5)
    pool, sizes = DatasetPool(tmp_path), set()
    for seed in range(12):
        latents, weights, texts = pool.sample_batch(random.Random(0), random.Random(seed), 0.5, 4)
        assert len(latents) == len(weights) == len(texts)
        sizes.add((latents.shape[-1], len(latents)))
    assert sizes == {(16, 8), (32, 4)}


def test_the_slow_average_follows_and_swaps_back() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    average = ExponentialAverage([weight], 0.5)
    with torch.no_grad():
        weight += 1
    average.update()
    assert 0 < average.slow[0][0] <= 1
    quick = weight.detach().clone()
    average.swap()
    average.swap()
    assert torch.equal(weight, quick)


def test_the_smaller_an_object_the_more_each_of_its_latents_counts() -> None:
    spots = np.zeros((1, 5, 3), np.float32)
    spots[0, 0], spots[0, 1] = (16, 14, 12), (16, 20, 4)  # x, y, radius in latents
    weights = LatentDataset(np.zeros((1, 4, 32, 32), np.float16), spots, ()).weights(np.array([0]))
    assert weights[0, 0, 20, 16] > weights[0, 0, 8, 16] > weights[0, 0, 31, 31] == 1
