"""Masks from words: the logic with scores that are given, the model with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dream.core.errors import ModelError
from dream.engine.vision.clipseg import (
    ClipSeg,
    Heatmap,
    compute_heatmap,
    compute_mask,
    open_clipseg,
)
from dream.options.text_mask import TextMask
from tests.random_models import make_random_clipseg

SCORES = {"cat": [0.0, 0.4, 0.8, 0.9], "dog": [0.7, 0.4, 0.1, 0.6], "red ball": [1, 0, 0, 0]}


def score(words: str) -> Heatmap:
    return np.array([SCORES[words]], np.float32)


@pytest.mark.parametrize(
    ("words", "threshold", "rendered"),
    [
        ("cat", 0.5, [0, 0, 1, 1]),
        ("cat", 0.4, [0, 1, 1, 1]),
        ("NOT cat", 0.4, [1, 0, 0, 0]),
        ("cat AND NOT dog", 0.5, [0, 0, 1, 0]),
        ("cat OR red ball", 0.5, [1, 0, 1, 1]),
        ("NOT (cat OR dog)", 0.5, [0, 1, 0, 0]),
        ("cat AND dog", 0.3, [0, 1, 0, 1]),
        ("cat", 0, [1, 1, 1, 1]),
    ],
)
def test_what_is_found_is_painted(words: str, threshold: float, rendered: list[int]) -> None:
    mask = compute_mask(TextMask(words, threshold), score)
    assert mask.mode == "L"
    assert (np.asarray(mask)[0] == np.array(rendered) * 255).all()


def test_heat_is_how_sure_one_is() -> None:
    heat = np.asarray(compute_heatmap(TextMask("cat AND NOT dog"), score))[0]
    assert np.allclose(heat / 255, [0, 0.4, 0.8, 0.4], atol=0.01)
    heat = np.asarray(compute_heatmap(TextMask("cat OR red ball"), score))[0]
    assert np.allclose(heat / 255, [1, 0.4, 0.8, 0.9], atol=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_clipseg(tmp_path_factory.mktemp("models") / "clipseg")


@pytest.fixture(scope="module")
def clipseg(folder: Path) -> ClipSeg:
    return open_clipseg(folder, "cpu")


def test_the_model_looks_at_pictures_of_every_size(clipseg: ClipSeg) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 90, 3), np.uint8)
    for image in (Image.fromarray(pixels), Image.new("RGB", (1, 1))):
        heat = clipseg.score(image, "a cat")
        assert heat.shape == image.size[::-1] and heat.dtype == np.float32
        assert heat.min() >= 0 and heat.max() <= 1
        assert np.array_equal(heat, clipseg.score(image, "a cat"))
        assert not np.array_equal(heat, clipseg.score(image, "a dog"))
    clipseg.score(image, "more words than it has places for " * 20)


def test_the_same_weights_as_a_pickle_are_the_same_model(
    clipseg: ClipSeg, folder: Path, tmp_path: Path
) -> None:
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save(clipseg.model.state_dict(), tmp_path / "pytorch_model.bin")
    image = Image.new("RGB", (64, 64), "red")
    assert np.array_equal(
        open_clipseg(tmp_path, "cpu").score(image, "a"), clipseg.score(image, "a")
    )


def test_half_a_model_is_none(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "model.safetensors")
    del weights["decoder.film_mul.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"decoder\.film_mul.weight is missing"):
        open_clipseg(tmp_path, "cpu")
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_clipseg(tmp_path, "cpu")
