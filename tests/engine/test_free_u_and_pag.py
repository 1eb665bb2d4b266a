"""FreeU and perturbed-attention guidance: they change the image, and nothing afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.sampling.free_u import use_free_u
from dream.engine.tasks import TaskInputs
from tests.random_layouts import make_layout, make_sd3
from tests.recipes import recipe


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("models")
    for name in ("sd1", "sdxl"):
        make_layout(name).save_pretrained(folder / name)
    make_sd3().save_pretrained(folder / "sd3")
    return create_generator(ModelRegistry([folder]).get_model)


def generate(generator: ImageGenerator, model: str, inputs: Any = None, **changes: Any) -> str:
    picture = generator.generate(recipe(model=model, **changes), lambda _: None, inputs)
    return picture.sha256


@pytest.mark.parametrize("model", ["sd1", "sdxl"])
@pytest.mark.parametrize("change", [{"freeu": True}, {"pag": 3.0}], ids=str)
def test_it_changes_the_image_and_nothing_afterwards(
    generator: ImageGenerator, model: str, change: dict[str, Any]
) -> None:
    plain = generate(generator, model)
    pipe = generator.load(model, lambda _: None).pipe
    processors = dict(pipe.unet.attn_processors)
    changed = generate(generator, model, **change)
    assert changed != plain
    assert generate(generator, model, **change) == changed
    assert generate(generator, model) == plain
    assert pipe.unet.attn_processors == processors


@pytest.mark.parametrize(
    ("family", "factors"),
    [("sd1", (0.9, 0.2, 1.5, 1.6)), ("sd2", (0.9, 0.2, 1.4, 1.6)), ("sdxl", (0.9, 0.2, 1.3, 1.4))],
)
def test_the_factors_are_those_of_its_authors(
    family: str, factors: tuple[float, ...], generator: ImageGenerator
) -> None:
    pipe = generator.load("sd1", lambda _: None).pipe
    names = ("s1", "s2", "b1", "b2")
    with use_free_u(pipe, family, "model", True):
        for block in pipe.unet.up_blocks:
            assert tuple(getattr(block, name) for name in names) == factors
    assert not any(getattr(block, "s1", None) for block in pipe.unet.up_blocks)


def test_an_input_image_works_too(generator: ImageGenerator) -> None:
    inputs = TaskInputs(image=Image.new("RGB", (64, 64), "red"))
    plain = generate(generator, "sd1", inputs, strength=0.7)
    for change in ({"freeu": True}, {"pag": 3.0}):
        assert generate(generator, "sd1", inputs, strength=0.7, **change) != plain
    assert generate(generator, "sd1", inputs, strength=0.7) == plain


def test_what_a_model_does_not_support_is_said(generator: ImageGenerator) -> None:
    with pytest.raises(ModelError, match="sd3 does not support --freeu"):
        generate(generator, "sd3", freeu=True)
