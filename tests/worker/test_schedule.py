"""--schedule reaches every run of the network that an image takes: both passes of --hires_fix, the
tiles of -embiggen, and what -c and -D generate beyond the edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dream.catalogue import ModelRegistry
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import EMBIGGEN, OUTCROP, OUTPAINT, Stage
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling import choose_scheduler
from dream.options.option_type import Upscale
from dream.options.outpaint import Embiggen, Outcrop, Shift
from dream.worker.postprocessor import WHOLE_IMAGE_FIELDS, PostProcessor, make_window_recipe
from tests.recipes import recipe


@pytest.fixture(scope="module")
def generator(random_models: Path) -> Iterator[ImageGenerator]:
    made = create_generator(ModelRegistry([random_models]).get_model)
    yield made
    made.unload()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The sampler and schedule of each scheduler that is made."""
    made: list[tuple[str, str]] = []
    original = choose_scheduler.make_scheduler

    def make(sampler: str, *args: Any, **kwargs: Any) -> Any:
        made.append((sampler, kwargs["schedule"]))
        return original(sampler, *args, **kwargs)

    monkeypatch.setattr(choose_scheduler, "make_scheduler", make)
    return made


STAGES: list[tuple[Stage, dict[str, Any]]] = [
    (EMBIGGEN, {"embiggen": Embiggen(1.0, 0.75, 0.25), "embiggen_strength": 0.7}),
    (OUTCROP, {"outcrop": Outcrop(right=24), "strength": 0.7}),
    (OUTPAINT, {"out_direction": Shift("top", 24), "strength": 0.7}),
]


@pytest.mark.parametrize(("stage", "fields"), STAGES, ids=[stage.name for stage, _ in STAGES])
def test_what_is_generated_after_the_image_uses_its_schedule(
    generator: ImageGenerator,
    random_models: Path,
    used: list[tuple[str, str]],
    stage: Stage,
    fields: dict[str, Any],
) -> None:
    postprocessor = PostProcessor(ModelRegistry([random_models]), generator)
    image = generator.generate(recipe(), lambda event: None).image
    used.clear()

    def finish(schedule: str) -> Any:
        asked = recipe(sampler="k_euler", schedule=schedule, **fields)
        picture = Picture(image, asked, {})
        return np.asarray(postprocessor.finish(picture, stage, lambda event: None).image)

    first = finish("exponential")
    assert used and set(used) == {("k_euler", "exponential")}
    assert (first == finish("exponential")).all()
    assert (first != finish("uniform")).any()


@pytest.mark.parametrize(
    ("schedule", "kept"), [("exponential", (0.8, 15)), ("former", (0.0, None))]
)
def test_windows_keep_everything_but_what_belongs_to_the_whole_image(
    schedule: str, kept: tuple[float, int | None]
) -> None:
    """A quantized model stays quantized. Lines from before --schedule render as they did."""
    whole = recipe(
        schedule=schedule,
        threshold=0.8,
        karras_max=15,
        quantize="int8",
        freeu=True,
        init_img="in.png",
        mask_blur=9,
        seamless=True,
        upscale=Upscale(2),
        strength=0.4,
    )
    window = make_window_recipe(whole)
    assert (window.quantize, window.freeu, window.strength) == ("int8", True, 0.4)
    assert (window.threshold, window.karras_max) == kept
    assert (window.init_img, window.mask_blur, window.seamless, window.upscale) == (
        (None, 4, False, None)
    )
    assert {field.name for field in dataclass_fields(Recipe)} > WHOLE_IMAGE_FIELDS


def test_both_passes_of_hires_fix_use_the_schedule(
    generator: ImageGenerator, used: list[tuple[str, str]]
) -> None:
    asked = recipe(width=96, height=96, hires_fix=0.7, sampler="k_euler", schedule="exponential")
    generator.generate(asked, lambda event: None)
    assert used == [("k_euler", "exponential")] * 2
