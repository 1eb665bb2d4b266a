"""Images in the making, decoded by the VAE."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import Progress
from tests.recipes import recipe


def rendered(
    generator: ImageGenerator, every: int, **changes: object
) -> tuple[Picture, dict[int, Image.Image]]:
    reported: list[object] = []
    picture = generator.generate(recipe(**changes), reported.append, every=every)
    steps = [event for event in reported if isinstance(event, Progress)]
    return picture, {step.step: step.image for step in steps if step.image is not None}


@pytest.mark.parametrize("sampler", ["ddim", "k_heun", "plms", "k_dpm_2_a", "dpm_adaptive"])
def test_every_second_step_is_shown_and_changes_nothing(
    generator: ImageGenerator, sampler: str
) -> None:
    plain, none = rendered(generator, 0, sampler=sampler, steps=7)
    shown, images = rendered(generator, 2, sampler=sampler, steps=7)
    assert none == {} and list(images) == [2, 4, 6]
    assert shown.sha256 == plain.sha256
    assert {image.size for image in images.values()} == {(64, 64)}
    assert {image.mode for image in images.values()} == {"RGB"}


def test_they_come_to_be_the_picture(generator: ImageGenerator) -> None:
    picture, images = rendered(generator, 1, steps=8)
    assert list(images) == [*range(1, 8)], "the last step's is the picture itself"
    final = np.asarray(picture.image, float)
    apart = [abs(final - np.asarray(image, float)).mean() for image in images.values()]
    assert apart[-1] < apart[0] and apart[-1] < 3


def test_of_two_walks_the_small_picture_is_shown_too(generator: ImageGenerator) -> None:
    large = {"width": 128, "height": 128, "hires_fix": 0.5}
    _, images = rendered(generator, 2, steps=4, **large)
    assert {step: image.width for step, image in images.items()} == {2: 64, 4: 64}
    _, images = rendered(generator, 4, steps=4, **large)
    assert list(images) == [4]


def test_where_there_will_be_none_it_is_said(generator: ImageGenerator) -> None:
    reported: list[object] = []
    generator.generate(recipe(steps=3), reported.append, every=3)
    assert Note(text="--save_intermediates 3 saves nothing in 3 steps") in reported


def test_models_of_velocity_are_shown_too(generator: ImageGenerator) -> None:
    _, images = rendered(generator, 2, model="random-v")
    assert list(images) == [2] and np.asarray(images[2]).std() > 5
