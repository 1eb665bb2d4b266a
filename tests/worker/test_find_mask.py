"""Text masks with random models: -tm generates inside the mask that !mask writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import InputError, ModelError
from dream.core.events import Note
from dream.engine.interface import DeviceConfig
from dream.options.text_mask import TextMask
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import FindMaskTask, RenderTask
from tests.random_models import make_random_clipseg
from tests.recipes import recipe

WORDS = "a cat AND NOT dog"


@pytest.fixture(scope="module")
def models(random_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "random").symlink_to(random_models / "random")
    make_random_clipseg(folder / "clipseg")
    return folder


@pytest.fixture(scope="module")
def workshop(models: Path) -> TaskExecutor:
    return TaskExecutor(ModelRegistry((models,), offline=True), DeviceConfig())


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    path = tmp_path / "begun.png"
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return path


def find_mask(workshop: TaskExecutor, begun: Path) -> tuple[TextMask, Path, str]:
    """Words with a threshold that is neither too high nor too low, their mask, and what is said."""
    mask, heat = begun.with_name("mask.png"), begun.with_name("heat.png")
    reported: list[Any] = []
    workshop.find_mask(FindMaskTask(begun, TextMask("a cat"), mask, heat), reported.append)
    threshold = float(np.median(np.asarray(Image.open(heat)))) / 255
    wanted = TextMask(WORDS, round(threshold, 3))
    workshop.find_mask(FindMaskTask(begun, wanted, mask, heat), reported.append)
    (message,) = (note.text for note in reported[1:] if isinstance(note, Note))
    return wanted, mask, message


def test_what_words_name_is_painted_and_nothing_else(workshop: TaskExecutor, begun: Path) -> None:
    wanted, mask, message = find_mask(workshop, begun)
    black = np.asarray(Image.open(mask)) == 0
    assert 0.01 < black.mean() < 0.99
    assert message == f"“{WORDS}” covers {black.mean():.1%} of begun.png"
    usual = {"init_img": str(begun), "strength": 0.8, "steps": 3}
    by_words = workshop.run(RenderTask(recipe(**usual, text_mask=wanted)), print)
    by_file = workshop.run(RenderTask(recipe(**usual, init_mask=str(mask))), print)
    assert by_words.sha256 == by_file.sha256
    assert len(by_words.facts["clipseg"]) == 64
    differs = (np.asarray(by_words.image) != np.asarray(Image.open(begun))).any(2)
    assert differs[black].any() and not differs[~black].any()
    others = workshop.run(RenderTask(recipe(**usual, text_mask=wanted, invert_mask=True)), print)
    differs = (np.asarray(others.image) != np.asarray(Image.open(begun))).any(2)
    assert differs[~black].any() and not differs[black].any()


def test_words_that_name_nothing_are_refused(workshop: TaskExecutor, begun: Path) -> None:
    wanted = recipe(init_img=str(begun), strength=0.8, text_mask=TextMask("cat", 1))
    with pytest.raises(InputError, match=r"“cat” was not found in .* at threshold 1"):
        workshop.run(RenderTask(wanted), print)


def test_without_the_model_and_offline_it_is_said_what_is_missing(
    random_models: Path, begun: Path
) -> None:
    workshop = TaskExecutor(ModelRegistry((random_models,), offline=True), DeviceConfig())
    wanted = recipe(init_img=str(begun), strength=0.8, text_mask=TextMask("cat"))
    with pytest.raises(ModelError, match="model is not downloaded, and --offline is set"):
        workshop.run(RenderTask(wanted), print)
