"""Small decoders in the author's files: TAESD, TAEF2 and TAEHV, compared with their networks
written out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from dream.catalogue.detect import detect
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.taesd import find_decoder
from dream.core.errors import ModelError
from dream.engine.loading.tiny_decoders import open_tiny_decoder
from dream.engine.sampling.preview import Previewers

Weights = dict[str, torch.Tensor]
SIZES = {"taesd": 4, "taesdxl": 4, "taesd3": 16, "taef1": 16, "taef2": 32, "taew2_1": 16}
"""Channels of the latents of each."""


@pytest.fixture(autouse=True)
def _random() -> Iterator[None]:
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(5)
        yield


def conv(weights: Weights, name: str, inputs: int, outputs: int, side: int, *, bias: bool) -> None:
    weights[f"{name}.weight"] = (
        torch.randn(outputs, inputs, side, side) * (side * side * inputs) ** -0.5
    )
    if bias:
        weights[f"{name}.bias"] = torch.randn(outputs) * 0.1


def block(weights: Weights, name: str, inputs: int, width: int) -> None:
    for number in (0, 2, 4):
        conv(weights, f"{name}.conv.{number}", inputs if not number else width, width, 3, bias=True)


def make_taesd(channels: int, *, pooled: bool = False) -> Weights:
    """By the numbers of the author's list."""
    weights: Weights = {}
    conv(weights, "1", channels, 64, 3, bias=True)
    for number in (3, 4, 5, 8, 9, 10, 13, 14, 15, 18):
        block(weights, f"{number}", 64, 64)
        if pooled and number < 6:
            conv(weights, f"{number}.pool.0", 64, 256, 1, bias=False)
            conv(weights, f"{number}.pool.3", 256, 64, 1, bias=False)
            weights[f"{number}.pool.1.weight"] = torch.rand(256)
            weights[f"{number}.pool.1.bias"] = torch.rand(256)
    for number in (7, 12, 17):
        conv(weights, f"{number}", 64, 64, 3, bias=False)
    conv(weights, "19", 64, 3, 3, bias=True)
    return weights


def make_taehv(channels: int) -> Weights:
    weights: Weights = {}
    conv(weights, "decoder.1", channels, 256, 3, bias=True)
    for start, width, following, stride in ((3, 256, 128, 1), (9, 128, 64, 2), (15, 64, 64, 2)):
        for number in range(start, start + 3):
            block(weights, f"decoder.{number}", 2 * width, width)
        conv(weights, f"decoder.{start + 4}.conv", width, stride * width, 1, bias=False)
        conv(weights, f"decoder.{start + 5}", width, following, 3, bias=False)
    conv(weights, "decoder.22", 64, 3, 3, bias=True)
    conv(weights, "encoder.0", 3, 64, 3, bias=True)
    return weights


def make(name: str) -> Weights:
    if name == "taew2_1":
        return make_taehv(SIZES[name])
    return make_taesd(SIZES[name], pooled=name == "taef2")


def apply(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    weight = weights[f"{name}.weight"]
    return F.conv2d(x, weight, weights.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def apply_block(weights: Weights, name: str, seen: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    inner = apply(weights, f"{name}.conv.0", seen).relu()
    inner = apply(weights, f"{name}.conv.2", inner).relu()
    return (apply(weights, f"{name}.conv.4", inner) + x).relu()


def twice(x: torch.Tensor) -> torch.Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def run_taesd(weights: Weights, latents: torch.Tensor) -> torch.Tensor:
    x = apply(weights, "1", 3 * (latents / 3).tanh()).relu()
    for number in (3, 4, 5, 0, 8, 9, 10, 0, 13, 14, 15, 0, 18):
        if not number:
            x = twice(x)
            x = apply(weights, {16: "7", 32: "12", 64: "17"}[x.shape[-1]], x)
            continue
        if f"{number}.pool.0.weight" in weights:
            pool = apply(weights, f"{number}.pool.0", x)
            scale, shift = weights[f"{number}.pool.1.weight"], weights[f"{number}.pool.1.bias"]
            parts = pool.reshape(len(x), 4, -1)
            variance, mean = torch.var_mean(parts, -1, correction=0, keepdim=True)
            pool = ((parts - mean) / (variance + 1e-5).sqrt()).reshape(pool.shape)
            pool = (pool * scale[:, None, None] + shift[:, None, None]).relu()
            x = x + apply(weights, f"{number}.pool.3", pool)
        x = apply_block(weights, f"{number}", x, x)
    return 2 * apply(weights, "19", x) - 1


def run_taehv(weights: Weights, latents: torch.Tensor) -> torch.Tensor:
    """Frame by frame: each block remembers the frame before."""
    frames = [apply(weights, "decoder.1", 3 * (latents / 3).tanh()).relu()]
    for start in (3, 9, 15):
        for number in range(start, start + 3):
            before, made = torch.zeros_like(frames[0]), []
            for frame in frames:
                seen = torch.cat([frame, before], 1)
                made.append(apply_block(weights, f"decoder.{number}", seen, frame))
                before = frame
            frames = made
        grown = [apply(weights, f"decoder.{start + 4}.conv", twice(frame)) for frame in frames]
        frames = [part for frame in grown for part in frame.split(frames[0].shape[1], 1)]
        frames = [apply(weights, f"decoder.{start + 5}", frame) for frame in frames]
    assert len(frames) == 4, "of which a film's first three are dropped"
    return 2 * apply(weights, "decoder.22", frames[-1].relu()) - 1


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_authors_files_decode_as_his_network(tmp_path: Path, name: str, suffix: str) -> None:
    weights = make(name)
    path = tmp_path / f"{name}{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    decoder = open_tiny_decoder(path)
    latents = torch.randn(2, SIZES[name], 8, 8)
    run = run_taehv if name == "taew2_1" else run_taesd
    expected = torch.cat([run(weights, one[None]) for one in latents])
    made = decoder.network(latents)
    assert decoder.channels == SIZES[name] and made.shape == (2, 3, 64, 64)
    assert torch.allclose(made, expected, atol=1e-4)
    assert detect(path).kind == "tiny vae"


@pytest.mark.parametrize(
    ("family", "file"),
    [
        ("sd1", "models/vae_approx/taesd_decoder.pth"),
        ("sdxl", "models/VAE-taesd/taesdxl_decoder.pth"),
        ("flux", "vae_approx/taef1_decoder.safetensors"),
        ("flux2", "vae_approx/taef2.safetensors"),
        ("qwen-image", "vae_approx/taew2_1.pth"),
        ("krea2", "vae_approx/lighttaew2_1.safetensors"),
    ],
)
def test_previews_use_them_where_other_programs_have_them(
    tmp_path: Path, family: str, file: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    name = next(name for name in SIZES if path.stem.removeprefix("light").startswith(f"{name}"))
    name = "taesdxl" if "xl" in file else name
    weights = make(name)
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    notes: list[object] = []
    previewers = Previewers(lambda family: find_decoder(family, [tmp_path / "none", tmp_path]))
    info = ModelInfo(name="m", path=Path(), family=family)
    previewer = previewers.for_model(info, "cpu", notes.append)
    assert previewer is not None and not notes
    latents = torch.randn(1, SIZES[name], 4, 6)
    preview = previewer(latents)
    assert preview is not None and (preview.width, preview.height) == (48, 32)
    run = run_taehv if name == "taew2_1" else run_taesd
    if family == "qwen-image":
        expected = run(weights, latents)[0].permute(1, 2, 0).add(1).mul(127.5).round().clamp(0, 255)
        shown = np.frombuffer(preview.rgb, np.uint8).reshape(32, 48, 3)
        assert abs(shown.astype(int) - expected.numpy()).max() <= 1


def test_another_file_is_not_used_and_a_note_says_so(tmp_path: Path) -> None:
    path = tmp_path / "vae_approx" / "taef1_decoder.safetensors"
    path.parent.mkdir()
    info = ModelInfo(name="m", path=Path(), family="flux")
    for tensors in ({"1.weight": torch.ones(64, 16, 3, 3)}, {"body.0.weight": torch.ones(3)}):
        save_file(tensors, path)
        with pytest.raises(ModelError, match="is not a small decoder"):
            open_tiny_decoder(path)
        notes: list[object] = []
        find = Previewers(lambda family: find_decoder(family, [tmp_path]))
        previewer = find.for_model(info, "cpu", notes.append)
        assert len(notes) == 1 and previewer is not None
        shown = previewer(torch.zeros(1, 16, 4, 6))
        assert shown is not None and (shown.width, shown.height) == (6, 4)
