"""Models that edit: the input image is seen as it is, and there is no strength."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import Progress
from dream.engine.silence_libraries import silence_libraries
from tests.random_others import make_kontext
from tests.random_split import make_flux2
from tests.recipes import recipe


@pytest.fixture(scope="module")
def editors(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageGenerator, Path]:
    folder = tmp_path_factory.mktemp("editors")
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        make_kontext().save_pretrained(folder / "kontext")
        make_flux2(tmp_path_factory.mktemp("tokenizer")).save_pretrained(folder / "klein")
    for name, colour in (("red", "#f00"), ("blue", "#00f")):
        Image.new("RGB", (80, 64), colour).save(folder / f"{name}.png")
    return create_generator(ModelRegistry([folder]).get_model), folder


def edit(generator: ImageGenerator, model: str, **values: Any) -> tuple[Picture, list[Any]]:
    reported: list[Any] = []
    small = {"width": 80, "height": 64, "steps": 3, "cfg_scale": 1.0}
    picture = generator.generate(recipe(model=model, **small, **values), reported.append)
    return picture, reported


@pytest.mark.parametrize("model", ["kontext", "klein"])
def test_an_editor_sees_the_image_and_has_no_strength(
    editors: tuple[ImageGenerator, Path], model: str
) -> None:
    generator, folder = editors
    red, blue = str(folder / "red.png"), str(folder / "blue.png")
    plain, _ = edit(generator, model)
    little, reported = edit(generator, model, init_img=red, strength=0.2)
    much, _ = edit(generator, model, init_img=red, strength=0.9)
    other, _ = edit(generator, model, init_img=blue, strength=0.9)
    assert little.sha256 == much.sha256
    assert len({plain.sha256, much.sha256, other.sha256}) == 3
    assert little.image.size == (80, 64) and "init_img" in little.facts
    assert [event.step for event in reported if isinstance(event, Progress)] == [1, 2, 3]
    note = Note(text=f"{model} edits the input image as a whole; -f is ignored")
    assert reported.count(note) == 1
