"""--image_prompt: what a line leaves open is found before anything is loaded, and logged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine, DreamError, ModelError
from dream.core.recipe import Recipe
from dream.line import format_line, parse_line
from dream.options.control import ImagePrompt
from dream.session.resolve import resolve
from tests.catalogue.test_control_files import write
from tests.catalogue.test_image_prompt_files import PLAIN, PLAIN_XL


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    write(tmp_path / "ipadapter" / "ip-adapter_sd15.safetensors", PLAIN)
    write(tmp_path / "ipadapter" / "ip-adapter_sdxl.safetensors", PLAIN_XL)
    return tmp_path


def resolved(
    models: Path, line: str, family: str = "sd1", variant: str = ""
) -> tuple[Recipe, tuple[str, ...]]:
    info = ModelInfo(name="m", path=models / "m", family=family, variant=variant)
    found = resolve(
        parse_line(line), lambda _: info, (), lambda: 7, Path, AdapterRegistry([models])
    )
    return found.recipes[0], found.notes


def test_the_adapter_that_fits_is_in_the_recipe_and_the_line(models: Path) -> None:
    recipe, _ = resolved(models, "a cat --image_prompt a.png:0.5 a.png")
    assert recipe.image_prompt == (ImagePrompt("a.png", 0.5), ImagePrompt("a.png"))
    assert recipe.image_prompt_model == "ip-adapter_sd15"
    xl, _ = resolved(models, "a cat --image_prompt a.png", "sdxl")
    assert xl.image_prompt_model == "ip-adapter_sdxl"
    request = replace(
        parse_line("a cat"),
        image_prompt=recipe.image_prompt,
        image_prompt_model=recipe.image_prompt_model,
    )
    assert parse_line(format_line(request)) == request
    line = "a cat --image_prompt a.png --image_prompt a.png:0.3"
    assert len(parse_line(line).image_prompt or ()) == 2


@pytest.mark.parametrize(
    ("line", "family", "error", "message"),
    [
        ("a cat --image_prompt no.png", "sd1", DreamError, "no.png"),
        ("a cat --image_prompt a.png", "qwen-image", BadLine, "does not support --image_prompt"),
        ("a cat --image_prompt a.png", "sd2", ModelError, "no IP-Adapter for Stable Diffusion 2"),
        (
            'a "cat".swap("dog") --syntax invokeai --image_prompt a.png',
            "sd1",
            BadLine,
            r"\.swap\(\) is not supported with --image_prompt",
        ),
        (
            "a cat --image_prompt a.png --image_prompt_model ip-adapter_sdxl",
            "sd1",
            ModelError,
            "is an IP-Adapter for Stable Diffusion XL, and the model is",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_loaded(
    models: Path, line: str, family: str, error: type[DreamError], message: str
) -> None:
    with pytest.raises(error, match=message):
        resolved(models, line, family)


def test_an_adapter_for_texts_of_another_width_is_refused(models: Path) -> None:
    (models / "m" / "unet").mkdir(parents=True)
    config = {"cross_attention_dim": 128, "down_block_types": ["CrossAttnDownBlock2D"]}
    (models / "m" / "unet" / "config.json").write_text(json.dumps(config))
    line = "a cat --image_prompt a.png"
    with pytest.raises(ModelError, match="no IP-Adapter for Stable Diffusion 1"):
        resolved(models, line)
    with pytest.raises(ModelError, match=r"a width of 768; the model's has 128"):
        resolved(models, f"{line} --image_prompt_model ip-adapter_sd15")


def test_a_name_without_an_image_is_ignored_and_said(models: Path) -> None:
    recipe, notes = resolved(models, "a cat --image_prompt_model ip-adapter_sd15")
    assert recipe.image_prompt_model is None
    assert any("--image_prompt_model is ignored" in note for note in notes)


def test_models_with_a_depth_map_are_refused_and_others_of_their_family_are_not(
    models: Path,
) -> None:
    with pytest.raises(BadLine, match=r"2 depth\) does not support --image_prompt"):
        resolved(models, "a cat --image_prompt a.png", "sd2", "depth")
    recipe, _ = resolved(models, "a cat -I a.png -M a.png", "sd2")
    assert recipe.init_mask == "a.png"
    with pytest.raises(BadLine, match=r"Stable Diffusion 2 depth\) does not support -M"):
        resolved(models, "a cat -I a.png -M a.png", "sd2", "depth")
