"""--fast: what it chooses is in the log as switches, and it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.model_info import ModelInfo
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.line import format_line, parse_line
from dream.options.lora import Lora
from dream.session import resolve
from dream.session.replay_checks import get_line_defaults
from tests.session.test_adapters import write_lora
from tests.session.test_control import add_controlnet

SD1 = ModelInfo(name="one", path=Path("one"), width=512, height=512, family="sd1")


def resolved(
    words: str, folder: Path, info: ModelInfo = SD1, base: Request | None = None
) -> tuple[Recipe, tuple[str, ...]]:
    request = parse_line(f"a cat {words}", base or Request())
    done = resolve(request, lambda _: info, (), lambda: 7, adapters=AdapterRegistry([folder]))
    return done.recipes[0], done.notes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lora(tmp_path / "loras/ink.safetensors")
    return tmp_path


def write_decoder(folder: Path) -> None:
    (folder / "vae_approx").mkdir()
    save_file({"x": torch.zeros(1)}, folder / "vae_approx/taesd_decoder.safetensors")


def test_without_anything_installed_it_is_a_cache(folder: Path) -> None:
    recipe, notes = resolved("--fast", folder)
    assert (recipe.cache, recipe.decoder, recipe.lora) == (3, None, None)
    assert "--fast: --cache 3" in notes
    plain, _ = resolved("", folder)
    assert recipe == replace(plain, cache=3)


def test_it_is_a_cache_with_control_images_too(folder: Path) -> None:
    image = folder / "a.png"
    Image.new("RGB", (64, 64)).save(image)
    add_controlnet(folder, "canny")
    recipe, notes = resolved(f"--fast --control canny={image}", folder)
    assert recipe.cache == 3 and "--fast: --cache 3" in notes


def test_the_log_line_has_what_was_chosen_and_means_it_without_fast(folder: Path) -> None:
    write_decoder(folder)
    recipe, notes = resolved("--fast", folder)
    assert "--fast: --cache 3 --decoder taesd" in notes
    logged = f"outputs/000001.7.png: {format_line(recipe.to_request())}"
    assert "--cache=3" in logged and "--decoder=taesd" in logged and "--fast" not in logged
    base = Request(fast=True)
    again = parse_line(logged, get_line_defaults(logged, base, Path))
    assert not again.fast
    plain, _ = resolved("", folder)
    logged = f"outputs/000001.7.png: {format_line(plain.to_request())}"
    again = parse_line(logged, get_line_defaults(logged, base, Path))
    done = resolve(again, lambda _: SD1, (), lambda: 7, adapters=AdapterRegistry([folder]))
    assert done.recipes == (plain,), "a session with --fast replays what was made without it"


def test_a_few_step_lora_comes_before_a_cache(folder: Path) -> None:
    for name in ("lcm-lora-sdv1-5", "Hyper-SD15-1step-lora", "Hyper-SD15-8steps-lora"):
        write_lora(folder / f"loras/{name}.safetensors")
    write_lora(folder / "loras/lcm-lora-sdxl.safetensors", 2048)
    recipe, notes = resolved("--fast --lora ink:0.5", folder)
    assert recipe.lora == (Lora("ink", 0.5), Lora("lcm-lora-sdv1-5"))
    assert (recipe.steps, recipe.sampler, recipe.cache) == (4, "lcm", None)
    assert "--fast: --lora lcm-lora-sdv1-5" in notes
    (folder / "loras/lcm-lora-sdv1-5.safetensors").unlink()
    (folder / "loras/Hyper-SD15-8steps-lora.safetensors").unlink()
    recipe, _ = resolved("--fast", folder)
    assert (recipe.lora, recipe.steps) == ((Lora("Hyper-SD15-1step-lora"),), 1)


@pytest.mark.parametrize(
    ("words", "cache", "few"),
    [
        ("--fast -s8", None, False),
        ("--fast -s30", 3, False),
        ("--fast --cache 2", 2, False),
        ("--fast --cache 1", None, True),
        ("--fast --lora lcm-lora-sdv1-5", None, True),
        ("--fast -A ddim", 3, False),
    ],
)
def test_what_the_line_says_stays(folder: Path, words: str, cache: int | None, few: bool) -> None:
    write_lora(folder / "loras/lcm-lora-sdv1-5.safetensors")
    recipe, _ = resolved(words, folder)
    assert recipe.cache == cache
    assert (recipe.lora is not None and len(recipe.lora) == 1) == few


def test_a_distilled_model_and_a_swap_need_none(folder: Path) -> None:
    turbo = replace(SD1, steps=4, cfg_scale=1.0)
    recipe, notes = resolved("--fast", folder, turbo)
    assert recipe.cache is None and "--fast: nothing to change with one" in notes
    request = parse_line("a cat.swap(dog) --fast", Request())
    done = resolve(request, lambda _: SD1, (), lambda: 7, adapters=AdapterRegistry([folder]))
    assert done.recipes[0].cache is None


def test_a_small_decoder_is_chosen_only_when_asked_and_never_for_other_latents(
    folder: Path,
) -> None:
    write_decoder(folder)
    assert resolved("", folder)[0].decoder is None
    assert resolved("--decoder auto", folder)[0].decoder == "taesd"
    assert resolved("--decoder taesd", folder)[0].decoder == "taesd"
    assert resolved("--decoder full", folder, base=Request(decoder="taesd"))[0].decoder is None
    assert resolved("--decoder auto", folder, replace(SD1, family="sdxl"))[0].decoder is None
