"""Another VAE in place of a model's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from tests import single_files
from tests.random_layouts import make_layout, make_sd3
from tests.recipes import recipe


@pytest.fixture(scope="module")
def registry(random_models: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    """With the VAEs `own`, which is the model's, and `other`, in diffusers layout."""
    from diffusers import AutoencoderKL

    folder = tmp_path_factory.mktemp("vaes")
    (folder / "VAE").mkdir()
    own = random_models / "random" / "vae"
    (folder / "VAE" / "own").symlink_to(own)
    other = AutoencoderKL.from_pretrained(own)
    with torch.no_grad():
        other.decoder.conv_out.weight.neg_()
    other.save_pretrained(folder / "VAE" / "other")
    return ModelRegistry([random_models, folder])


@pytest.fixture(scope="module")
def generator(registry: ModelRegistry) -> ImageGenerator:
    return create_generator(registry.get_model, find_vae=registry.get_vae)


def test_it_decodes_what_the_model_painted(generator: ImageGenerator) -> None:
    plain, own, other, none = (
        generator.generate(recipe(vae=vae), lambda _: None)
        for vae in (None, "own", "other", "none")
    )
    assert plain.sha256 == own.sha256 == none.sha256 != other.sha256
    assert generator.generate(recipe(), lambda _: None).sha256 == plain.sha256, "its own came back"
    assert "vae" not in plain.facts
    assert len(other.facts["vae"]) == 64 and other.facts["vae"] != own.facts["vae"]
    assert other.facts["weights"] == plain.facts["weights"]


def test_a_folder_with_a_hostile_pickle_is_refused_by_name(
    registry: ModelRegistry,
    generator: ImageGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(registry.get_vae("own"), tmp_path / "vae"))
    path = folder / "diffusion_pytorch_model.safetensors"
    torch.save({**load_file(path), "x": Trap()}, path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(ModelError, match=r"model\.bin is refused: loading it would run \w+\.mkdir"):
        generator.generate(recipe(vae=str(folder)), lambda _: None)
    assert not Path("trapped").exists()


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("trapped",))


def test_what_is_no_vae_is_said(generator: ImageGenerator, tmp_path: Path) -> None:
    page = tmp_path / "page.safetensors"
    page.write_text("<html>")
    for place in (page, tmp_path):
        with pytest.raises(ModelError):
            generator.generate(recipe(vae=str(place)), lambda _: None)
    with pytest.raises(ModelError, match="did you mean other"):
        generator.generate(recipe(vae="othar"), lambda _: None)


def test_a_file_is_read_as_each_family_scales_its_latents(tmp_path: Path) -> None:
    """Whichever model it was read for first; the same file is another VAE for each."""
    pipe = make_layout("sd1")
    weights = single_files.original(pipe)
    file = single_files.save(vae_of(weights), tmp_path / "vae.ckpt")
    single_files.save(weights, tmp_path / "sd1.safetensors")
    single_files.save(single_files.original(make_layout("sdxl")), tmp_path / "sdxl.safetensors")
    find = ModelRegistry([tmp_path]).get_model
    used, new_generator = create_generator(find), create_generator(find)
    for model in ("sd1", "sdxl", "sd1"):
        one = used.generate(recipe(model=model, vae=str(file)), lambda _: None)
        if model == "sdxl":
            assert one.sha256 == new_generator.generate(one.recipe, lambda _: None).sha256


OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.mark.parametrize("age", ["today", "before 2023"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_with_the_names_of_diffusers_is_read_too(
    tmp_path: Path, age: str, suffix: str
) -> None:
    pipe = make_layout("sd1")
    weights = single_files.original(pipe)
    single_files.save(weights, tmp_path / "sd1.safetensors")
    single_files.save(vae_of(weights), tmp_path / "ldm.safetensors")
    named = dict(pipe.vae.state_dict())
    if age != "today":
        for new, old in OLD.items():
            named = {
                n.replace(f".{new}.", f".{old}.") if "attentions" in n else n: t
                for n, t in named.items()
            }
    single_files.save(named, tmp_path / f"diffusers{suffix}")
    generator = create_generator(ModelRegistry([tmp_path]).get_model)
    made = [
        generator.generate(recipe(model="sd1", vae=str(tmp_path / file)), lambda _: None).sha256
        for file in ("ldm.safetensors", f"diffusers{suffix}")
    ]
    assert made[0] == made[1]


@pytest.mark.parametrize("names", ["ldm", "diffusers"])
def test_half_a_vae_is_said(tmp_path: Path, names: str) -> None:
    pipe = make_layout("sd1")
    weights = single_files.original(pipe)
    single_files.save(weights, tmp_path / "sd1.safetensors")
    own = vae_of(weights) if names == "ldm" else pipe.vae.state_dict()
    half = {name: t for name, t in own.items() if name.startswith(("decoder.", "post_"))}
    file = single_files.save(half, tmp_path / "half.safetensors")
    generator = create_generator(ModelRegistry([tmp_path]).get_model)
    with pytest.raises(ModelError, match=r"half\.safetensors: missing encoder\."):
        generator.generate(recipe(model="sd1", vae=str(file)), lambda _: None)


def test_a_vae_for_other_latents_is_refused_whichever_model_it_was_read_for(
    random_models: Path, tmp_path: Path
) -> None:
    file = single_files.save(
        vae_of(single_files.original(make_layout("sd1"))), tmp_path / "vae.safetensors"
    )
    make_sd3().save_pretrained(tmp_path / "sd3")
    generator = create_generator(ModelRegistry([random_models, tmp_path]).get_model)
    generator.generate(recipe(vae=str(file)), lambda _: None)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"expects 4 latent channels; sd3 has 16 .choose"):
            generator.generate(recipe(model="sd3", vae=str(file)), lambda _: None)


def test_a_vae_that_changes_on_the_disk_is_read_anew(
    registry: ModelRegistry, generator: ImageGenerator, tmp_path: Path
) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(registry.get_vae("own"), folder)
    before = generator.generate(recipe(vae=str(folder)), lambda _: None)
    shutil.copytree(registry.get_vae("other"), folder, dirs_exist_ok=True)
    after = generator.generate(recipe(vae=str(folder)), lambda _: None)
    other = generator.generate(recipe(vae="other"), lambda _: None)
    assert after.sha256 == other.sha256 != before.sha256
    assert after.facts["vae"] == other.facts["vae"]


def vae_of(weights: dict[str, Any]) -> dict[str, Any]:
    """The VAE alone, by the names in files of one."""
    first = "first_stage_model."
    return {n.removeprefix(first): t for n, t in weights.items() if n.startswith(first)}
