"""--hires_fix: two walks told as one, and by meaning with the shipped model."""

from __future__ import annotations

from typing import Any

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.catalogue.model_info import ModelInfo
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, GenerationCancelled, Progress
from dream.engine.tasks.hires import split_passes
from tests.recipes import recipe
from training.image_analysis import analyze

CARD = ModelInfo(name="some", path=get_shipped_models_dir() / "tiny", width=512, height=512)


def render(generator: ImageGenerator, reported: list[Any] | None = None, **changes: Any) -> Picture:
    heard: list[Any] = [] if reported is None else reported
    return generator.generate(recipe(**changes), heard.append)


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1024, 1024), (512, 512)),
        ((1024, 512), (720, 360)),
        ((768, 1536), (360, 720)),
        ((4096, 64), (4096, 64)),
        ((4096, 256), (2048, 128)),
    ],
)
def test_the_small_one_has_the_shape_of_the_large_and_the_area_of_home(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    two = split_passes(recipe(width=size[0], height=size[1], hires_fix=0.5), CARD)
    if two is None:
        assert size == small, "it is not too large at all"
        return
    first, second = two
    assert (first.width, first.height) == small
    assert (second.width, second.height, second.strength) == (*size, 0.5)


def test_two_walks_are_told_as_one(generator: ImageGenerator) -> None:
    reported: list[Any] = []
    wanted: dict[str, Any] = {"width": 96, "height": 128, "steps": 4, "hires_fix": 0.5}
    first = render(generator, reported, **wanted)
    steps = [event for event in reported if isinstance(event, Progress)]
    assert [(step.step, step.steps) for step in steps] == [(n, 6) for n in range(1, 7)]
    assert first.image.size == (96, 128) and first.recipe == recipe(**wanted)
    assert render(generator, **wanted).sha256 == first.sha256
    assert render(generator, **wanted | {"hires_fix": 0.75}).sha256 != first.sha256
    assert render(generator, **wanted | {"hires_fix": None}).sha256 != first.sha256


def test_both_walks_can_be_given_up(generator: ImageGenerator) -> None:
    wanted = recipe(width=128, height=128, steps=4, hires_fix=0.5)
    for last in (2, 5):

        def tell(event: Any, last: int = last) -> None:
            if isinstance(event, Progress) and event.step == last:
                raise GenerationCancelled

        with pytest.raises(GenerationCancelled):
            generator.generate(wanted, tell)


@pytest.fixture(scope="module")
def tiny() -> ImageGenerator:
    return create_generator(
        ModelRegistry((get_shipped_models_dir(),)).get_model, DeviceConfig(previews=True)
    )


@pytest.mark.parametrize("seed", [2, 8])
def test_what_would_be_there_twice_is_there_once(tiny: ImageGenerator, seed: int) -> None:
    wanted: dict[str, Any] = {
        "prompt": "a blue triangle on a white background",
        "model": "tiny",
        "width": 512,
        "height": 512,
        "steps": 8,
        "seed": seed,
        "cfg_scale": 3.0,
        "sampler": "dpmpp_2m_karras",
    }
    plain, fixed = (analyze(render(tiny, **wanted, hires_fix=x).image) for x in (None, 0.5))
    assert [region.colour for region in plain.regions][:2] == ["blue", "blue"]
    assert [region.colour for region in fixed.regions] == ["blue"]
    assert fixed.background == "white"
