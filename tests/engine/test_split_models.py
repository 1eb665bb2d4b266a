"""Models in several files, as ComfyUI's folders have them, give the pixels of their folder in
diffusers layout."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue import ModelRegistry
from dream.catalogue.encoder_files import use_text_encoder
from dream.core.errors import ModelError
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.adapters import weight_merge
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.silence_libraries import silence_libraries
from dream.options.family_table import get_family
from dream.options.lora import Lora
from tests.random_split import SPLIT
from tests.random_split_newer import NEWER
from tests.recipes import recipe
from tests.split_files import (
    denoiser_tensors,
    encoder_tensors,
    move_weights,
    save,
    under,
    write_split,
    write_whole,
)


def make(family: str, folder: Path) -> Any:
    """A random model of a family, also in diffusers layout in a folder `models/folder`."""
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = {**SPLIT, **NEWER}[family](folder)
        pipe.save_pretrained(folder / "models" / "folder")
    return pipe


def paint(generator: ImageGenerator, model: str, **settings: Any) -> Picture:
    loaded = generator.load(model, lambda event: None)
    move_weights(loaded.pipe)
    small = {"width": 80, "height": 64, "steps": 2, "cfg_scale": 1.0, "prompt": "a red circle"}
    return generator.generate(recipe(model=model, **small | settings), lambda event: None)


@pytest.mark.parametrize("family", [*SPLIT, *NEWER])
def test_split_files_and_all_in_one_give_the_pixels_of_the_folder(
    tmp_path: Path, family: str
) -> None:
    pipe = make(family, tmp_path)
    write_split(pipe, family, tmp_path / "ComfyUI" / "models")
    write_whole(
        pipe, family, tmp_path / "whole", vae="first_stage_model." if family == "sd3" else "vae."
    )
    registry = ModelRegistry([tmp_path / name for name in ("models", "ComfyUI", "whole")])
    generator = create_generator(registry.get_model, DeviceConfig(max_loaded_models=1))
    multiple = max(16, get_family(family).multiple)
    folder, split, whole = (
        paint(generator, name, width=80 if multiple == 16 else 3 * multiple)
        for name in ("folder", f"my-{family}", f"whole-{family}")
    )
    assert folder.sha256 == split.sha256 == whole.sha256
    assert split.facts["weights"] != whole.facts["weights"]
    info = registry.get_model(f"my-{family}")
    assert info.family == family == registry.get_model("folder").family
    assert info.missing == () and info.multiple == multiple
    assert {part.path.name for part in registry.get_model(f"whole-{family}").parts} <= {
        f"whole-{family}.safetensors",
        "t5",
        "umt5",
        "qwen3",
        "qwen2.5-vl",
        "gemma2",
        "llama3",
    }


@pytest.fixture(scope="module")
def z_image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("z-image")
    pipe = make("z-image", folder)
    write_split(pipe, "z-image", folder / "models")
    return pipe, folder / "models"


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model.", "transformer."])
def test_every_prefix_in_use_is_read(z_image: tuple[Any, Path], prefix: str) -> None:
    pipe, models = z_image
    names = denoiser_tensors(pipe, "z-image")
    path = save(models / "unet" / "prefixed.safetensors", under(prefix, names))
    generator = create_generator(ModelRegistry([models]).get_model, DeviceConfig())
    loaded = generator.load("prefixed", lambda event: None).pipe.transformer.state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in pipe.transformer.state_dict().items())
    path.unlink()


def test_names_of_diffusers_are_read_too(z_image: tuple[Any, Path]) -> None:
    pipe, models = z_image
    path = save(models / "unet" / "plain.sft", dict(pipe.transformer.state_dict()))
    generator = create_generator(ModelRegistry([models]).get_model, DeviceConfig())
    loaded = generator.load("plain", lambda event: None).pipe.transformer.state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in pipe.transformer.state_dict().items())
    path.unlink()


def test_two_models_share_their_text_encoder(z_image: tuple[Any, Path]) -> None:
    pipe, models = z_image
    other = save(models / "unet" / "other.safetensors", denoiser_tensors(pipe, "z-image"))
    generator = create_generator(ModelRegistry([models]).get_model, DeviceConfig())
    one = generator.load("my-z-image", lambda event: None).pipe
    two = generator.load("other", lambda event: None).pipe
    assert one.text_encoder is two.text_encoder and one.transformer is not two.transformer
    other.unlink()


@pytest.mark.parametrize("room", [True, False])
def test_a_lora_of_one_model_leaves_the_encoder_that_another_shares(
    z_image: tuple[Any, Path], room: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also without room for the weights as they were."""
    pipe, models = z_image
    other = save(models / "unet" / "other.safetensors", denoiser_tensors(pipe, "z-image"))
    generator = create_generator(ModelRegistry([models]).get_model, DeviceConfig())
    plain = paint(generator, "other").image.tobytes()
    layer, weight = next(
        (name.removesuffix(".weight"), tensor)
        for name, tensor in pipe.text_encoder.state_dict().items()
        if name.endswith("q_proj.weight")
    )
    path = tmp_path / "words.safetensors"
    prefix = f"text_encoder.{layer}.lora_"
    down, up = torch.randn(2, weight.shape[1]), torch.randn(len(weight), 2)
    save_file({f"{prefix}A.weight": down, f"{prefix}B.weight": up}, path)
    if not room:
        monkeypatch.setattr(weight_merge, "measure_free_memory", lambda device: 0)
    lora = (Lora(str(path), 1.0),)

    def has_its_weights(model: str) -> bool:
        paint(generator, model)
        encoder = generator.load(model, lambda event: None).pipe.text_encoder.state_dict()
        return all(torch.equal(encoder[n], t) for n, t in pipe.text_encoder.state_dict().items())

    with_lora = paint(generator, "my-z-image", lora=lora).image.tobytes()
    assert has_its_weights("other")
    assert paint(generator, "my-z-image", lora=lora).image.tobytes() == with_lora != plain
    assert has_its_weights("my-z-image") and has_its_weights("other")
    other.unlink()


def test_a_weight_that_lacks_is_named(z_image: tuple[Any, Path]) -> None:
    pipe, models = z_image
    names = denoiser_tensors(pipe, "z-image")
    del names["layers.1.feed_forward.w2.weight"]
    path = save(models / "unet" / "torn.safetensors", names)
    generator = create_generator(ModelRegistry([models]).get_model, DeviceConfig())
    with pytest.raises(ModelError, match=r"missing layers\.1\.feed_forward\.w2\.weight"):
        generator.load("torn", lambda event: None)
    path.unlink()


def test_turbo_has_its_shift_and_steps(z_image: tuple[Any, Path]) -> None:
    pipe, models = z_image
    names = denoiser_tensors(pipe, "z-image")
    path = save(models / "unet" / "z_image_turbo.safetensors", names)
    registry = ModelRegistry([models])
    info = registry.get_model("z_image_turbo")
    assert (info.steps, info.cfg_scale) == (9, 1.0)
    assert "z_image_turbo" in info.defaults_from
    loaded = create_generator(registry.get_model, DeviceConfig()).load(
        info.name, lambda event: None
    )
    assert loaded.pipe.scheduler.config.shift == 3.0
    path.unlink()


@pytest.mark.parametrize(
    ("family", "precision"),
    [
        ("sana", "bfloat16"),  # whose kernels have sides of 1
        ("pixart-alpha", "bfloat16"),  # whose pipeline does not cast latents
        ("hidream", "float16"),  # whose T5 has layers in float32
    ],
)
def test_in_half_precision_the_pixels_are_the_folders_too(
    tmp_path: Path, family: str, precision: str
) -> None:
    write_split(make(family, tmp_path), family, tmp_path / "ComfyUI" / "models")
    registry = ModelRegistry([tmp_path / name for name in ("models", "ComfyUI")])
    config = DeviceConfig(precision=precision, max_loaded_models=1)
    generator = create_generator(registry.get_model, config)
    folder, split = (
        paint(generator, name, width=96, height=96).sha256 for name in ("folder", f"my-{family}")
    )
    assert folder == split


def test_krea_2_turbo_in_bfloat16(tmp_path: Path) -> None:
    """Its schedule is that of its pipeline's flag, and its norms stay in float32."""
    pipe = make("krea2", tmp_path)
    index = tmp_path / "models" / "folder" / "model_index.json"
    index.write_text(
        index.read_text("utf-8").replace('"is_distilled": false', '"is_distilled": true')
    )
    write_split(pipe, "krea2", tmp_path / "ComfyUI" / "models").rename(
        tmp_path / "ComfyUI" / "models" / "diffusion_models" / "krea2_turbo.safetensors"
    )
    registry = ModelRegistry([tmp_path / "models", tmp_path / "ComfyUI"])
    info = registry.get_model("krea2_turbo")
    assert (info.steps, info.cfg_scale) == (8, 1.0)
    generator = create_generator(registry.get_model, DeviceConfig(precision="bfloat16"))
    assert paint(generator, "krea2_turbo").sha256 == paint(generator, "folder").sha256
    loaded = generator.load("krea2_turbo", lambda event: None).pipe
    assert loaded.config.is_distilled is True
    block = loaded.transformer.transformer_blocks[0]
    assert (block.norm1.weight.dtype, block.ff.up.weight.dtype) == (torch.float32, torch.bfloat16)


def test_another_text_encoder_for_one_line(z_image: tuple[Any, Path]) -> None:
    pipe, models = z_image
    names = {
        n: t * 1.5 if t.ndim == 2 else t for n, t in encoder_tensors(pipe.text_encoder).items()
    }
    other = save(models / "text_encoders" / "zz-other.safetensors", names)
    registry = ModelRegistry([models])
    generator = create_generator(
        registry.get_model,
        DeviceConfig(max_loaded_models=1),
        use_text_encoder=lambda info, name: use_text_encoder(info, name, registry.models_dirs),
    )
    small = {"width": 64, "height": 64, "steps": 1, "cfg_scale": 1.0, "prompt": "a red circle"}
    first, changed, again = (
        generator.generate(
            recipe(model="my-z-image", **small, text_encoder=name), lambda event: None
        )
        for name in (None, "zz-other", None)
    )
    assert first.sha256 == again.sha256 != changed.sha256
    assert first.facts["weights"] == again.facts["weights"] != changed.facts["weights"]
    file_hash = hashlib.sha256(other.read_bytes()).hexdigest()
    assert changed.facts["text_encoder_weights"] == file_hash
    assert "text_encoder_weights" not in again.facts
    other.unlink()
