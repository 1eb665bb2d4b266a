"""--decoder taesd: a small network makes the pixels, from diffusers' file or the author's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors.torch import load_file, save_file

from dream.catalogue import ModelRegistry
from dream.catalogue.taesd import find_decoder_file, require_decoder_file
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.tasks import TaskInputs
from tests.random_families import FAMILIES
from tests.random_layouts import make_layout, make_sd3
from tests.recipes import recipe

CHANNELS = {"taesd": 4, "taesd3": 16, "taef1": 16}
"""Of their latents."""


def write_decoder(name: str, folder: Path) -> Path:
    """A random decoder in diffusers layout; returns its file."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        AutoencoderTiny(latent_channels=CHANNELS[name]).save_pretrained(folder / name)
    return folder / name / "diffusion_pytorch_model.safetensors"


def write_as_its_author(weights: Path, folder: Path, name: str) -> Path:
    """The decoder alone, with the names of the author's list, whose first layer is the clamp."""
    folder.mkdir(parents=True)
    renamed = {}
    for key, weight in load_file(weights).items():
        if key.startswith("decoder.layers."):
            number, _, rest = key.removeprefix("decoder.layers.").partition(".")
            renamed[f"{int(number) + 1}.{rest}"] = weight
    save_file(renamed, folder / f"{name}_decoder.safetensors")
    return folder / f"{name}_decoder.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make_layout("sd1").save_pretrained(made / "sd1")
        make_sd3().save_pretrained(made / "sd3")
        FAMILIES["flux"](tmp_path_factory.mktemp("flux")).save_pretrained(made / "flux")
    for name in CHANNELS:
        write_decoder(name, made)
    return made


@pytest.fixture(scope="module")
def generator(folder: Path) -> ImageGenerator:
    return open_generator(folder)


def open_generator(folder: Path) -> ImageGenerator:
    return create_generator(
        ModelRegistry([folder]).get_model,
        require_decoder=lambda info: require_decoder_file(info, [folder]),
    )


def generate(generator: ImageGenerator, model: str, inputs: Any = None, **changes: Any) -> Any:
    return generator.generate(recipe(model=model, **changes), lambda _: None, inputs)


@pytest.mark.parametrize(
    ("model", "name"), [("sd1", "taesd"), ("sd3", "taesd3"), ("flux", "taef1")]
)
def test_it_makes_the_pixels_from_the_latents_of_the_denoiser(
    generator: ImageGenerator, folder: Path, model: str, name: str
) -> None:
    """As diffusers does, where latents need neither scale nor shift."""
    plain = generate(generator, model)
    vae = generator.load(model, lambda _: None).pipe.vae
    seen: list[torch.Tensor] = []
    handle = vae.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    picture = generate(generator, model, decoder="taesd")
    assert not seen, "the VAE's decoder is not computed"
    post = vae.post_quant_conv
    vae.post_quant_conv = None
    generate(generator, model)
    vae.post_quant_conv = post
    handle.remove()
    tiny = AutoencoderTiny.from_pretrained(folder / name)
    latents = (seen[0] - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    with torch.inference_mode():
        image = tiny.decode(latents).sample[0].permute(1, 2, 0).numpy()
    expected = ((image / 2 + 0.5).clip(0, 1) * 255).round().astype(int)
    assert abs(np.asarray(picture.image, int) - expected).max() <= 1
    weights = folder / name / "diffusion_pytorch_model.safetensors"
    assert picture.facts["decoder_weights"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    again = generate(generator, model)
    assert again.sha256 == plain.sha256 and "decoder_weights" not in again.facts
    assert "decode" not in vars(vae)


def test_the_authors_file_is_the_same_decoder(
    generator: ImageGenerator, folder: Path, tmp_path: Path
) -> None:
    weights = folder / "taesd" / "diffusion_pytorch_model.safetensors"
    path = write_as_its_author(weights, tmp_path / "vae_approx", "taesd")
    assert find_decoder_file("sd1", [tmp_path]) == path
    one = generate(generator, "sd1", decoder="taesd")
    (tmp_path / "sd1").symlink_to(folder / "sd1")
    assert generate(open_generator(tmp_path), "sd1", decoder="taesd").sha256 == one.sha256


def test_an_input_image_is_encoded_by_the_vae_and_seamless_images_wrap(
    generator: ImageGenerator,
) -> None:
    inputs = TaskInputs(image=Image.linear_gradient("L").resize((64, 64)).convert("RGB"))
    small = generate(generator, "sd1", inputs, strength=0.5, decoder="taesd")
    assert small.sha256 != generate(generator, "sd1", inputs, strength=0.5).sha256
    wrapped = generate(generator, "sd1", seamless=True, decoder="taesd")
    plain = generate(generator, "sd1", decoder="taesd")
    assert wrapped.image.size == plain.image.size and wrapped.sha256 != plain.sha256


def test_what_is_no_decoder_or_for_other_latents_is_refused(
    generator: ImageGenerator, folder: Path, tmp_path: Path
) -> None:
    info = ModelRegistry([folder]).get_model("sd1")
    with pytest.raises(ModelError, match="sd1 needs TAESD, which is in no models folder"):
        require_decoder_file(info, [tmp_path])
    for other in (replace(info, family="qwen-image"), replace(info, family="other")):
        with pytest.raises(ModelError, match="no small decoder is known for the latents of sd1"):
            require_decoder_file(other, [folder])
    path = tmp_path / "odd.safetensors"
    wrong = create_generator(ModelRegistry([folder]).get_model, require_decoder=lambda info: path)
    for tensors, why in (
        ({"one": torch.zeros(1)}, "is not a small decoder"),
        ({"1.weight": torch.zeros(64, 4, 3, 3)}, "its layers are not those of TAESD"),
    ):
        save_file(tensors, path)
        with pytest.raises(ModelError, match=why):
            generate(wrong, "sd1", decoder="taesd")
    AutoencoderTiny(latent_channels=16).save_pretrained(tmp_path / "wide")
    path = tmp_path / "wide" / "diffusion_pytorch_model.safetensors"
    with pytest.raises(ModelError, match="has 16 latent channels, sd1 has 4"):
        generate(wrong, "sd1", decoder="taesd")
