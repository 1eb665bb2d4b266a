"""The families that came after Stable Diffusion's, with random weights, from folders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dream.catalogue import Shelf
from dream.engine import open_painter
from dream.engine.base import Machine, Progress, Stopped
from dream.engine.painter import Painter
from dream.engine.quiet import quiet
from dream.events import Note
from dream.picture import Picture
from tests.random_families import FAMILIES
from tests.random_layouts import make_sd3
from tests.recipes import recipe


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("families")
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        for name, make in FAMILIES.items():
            make(tmp_path_factory.mktemp(name)).save_pretrained(folder / name)
        make_sd3().save_pretrained(folder / "sd3")
    return Shelf([folder])


@pytest.fixture(scope="module")
def families(shelf: Shelf) -> Painter:
    return open_painter(shelf.model, Machine(max_loaded_models=len(FAMILIES)))


def paint(painter: Painter, model: str, **changes: Any) -> tuple[Picture, list[Any]]:
    told: list[Any] = []
    small = {"width": 80, "height": 64, "steps": 3, "cfg_scale": 4.0}
    return painter.paint(recipe(model=model, **small | changes), told.append), told


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_paints_step_by_step_and_the_same_again(
    shelf: Shelf, model: str, precision: str
) -> None:
    painter = open_painter(shelf.model, Machine(precision=precision))
    picture, told = paint(painter, model)
    assert picture.image.size == (80, 64)
    assert np.asarray(picture.image).std() > 1
    assert [told.step for told in told if isinstance(told, Progress)] == [1, 2, 3]
    assert paint(painter, model)[0].sha256 == picture.sha256
    assert paint(painter, model, seed=2)[0].sha256 != picture.sha256


@pytest.mark.parametrize("model", FAMILIES)
def test_it_can_be_stopped(families: Painter, model: str) -> None:
    def stop(happening: object) -> None:
        if isinstance(happening, Progress):
            raise Stopped

    with pytest.raises(Stopped):
        families.paint(recipe(model=model, width=64, height=64, steps=3), stop)


@pytest.mark.parametrize("model", FAMILIES)
def test_negative_words_are_heard_or_it_is_said(families: Painter, model: str) -> None:
    plain, _ = paint(families, model, negative="")
    other, told = paint(families, model, negative="blue")
    deaf = f"{model} has no ear for negative words: blue"
    assert (plain.sha256 == other.sha256) == (model == "flux")
    assert (Note(text=deaf) in told) == (model == "flux")


@pytest.mark.parametrize("model", FAMILIES)
def test_guidance_is_heard(families: Painter, model: str) -> None:
    one, two = (paint(families, model, cfg_scale=scale)[0] for scale in (2.0, 9.0))
    assert one.sha256 != two.sha256


def test_their_cards_say_what_they_want(shelf: Shelf) -> None:
    guidance = {"flux": 3.5, "pixart": 4.5, "z-image": 5.0, "qwen-image": 4.0, "sd3": 7.0}
    for name, scale in guidance.items():
        card = shelf.model(name)
        assert card.multiple == 16, "two latents to the word, eight pixels to the latent"
        assert card.cfg_scale == scale
        trained = {"pixart": 256, "sd3": 256}
        assert (card.width, card.height) == (trained.get(name, 1024),) * 2
