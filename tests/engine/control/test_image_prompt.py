"""IP-Adapters in a pipeline: the same pixels as diffusers' own way to load them, and the model
exactly as before afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from dream.catalogue.image_prompt_files import read_image_prompt_model
from dream.core.errors import ModelError
from dream.engine.control.image_encoder import open_image_encoder
from dream.engine.control.image_prompt import (
    ActiveImagePrompt,
    load_image_prompt_model,
    make_embeds,
    use_image_prompts,
)
from dream.engine.memory.device import Placement
from dream.engine.silence_libraries import silence_libraries
from tests.random_image_prompts import (
    random_encoder,
    random_ip_adapter,
    write_encoder,
    write_ip_adapter,
)
from tests.random_layouts import make_layout

CPU = Placement("cpu", "float32", "")
KINDS = ("plain", "plus", "full face")


def photo(colour: str) -> Image.Image:
    image = Image.new("RGB", (90, 70), colour)
    ImageDraw.Draw(image).ellipse((10, 5, 60, 60), fill="white")
    return image


@pytest.fixture(scope="module")
def pipes() -> dict[str, Any]:
    with silence_libraries():
        return {name: make_layout(name) for name in ("sd1", "sdxl")}


@pytest.fixture(scope="module")
def encoder() -> Any:
    return random_encoder().to(memory_format=torch.channels_last)


def run(pipe: Any, **arguments: Any) -> bytes:
    pipe.set_progress_bar_config(disable=True)
    with silence_libraries():
        picture = pipe(
            "a red circle",
            num_inference_steps=2,
            height=64,
            width=64,
            guidance_scale=arguments.pop("guidance_scale", 4.0),
            generator=torch.Generator().manual_seed(5),
            **arguments,
        ).images[0]
    return picture.convert("RGB").tobytes()


def by_diffusers(pipe: Any, tables: Any, encoder: Any, weights: Any, **arguments: Any) -> bytes:
    """As its documentation says, with one adapter for each image."""
    own = pipe.unet.attn_processors
    with silence_libraries():
        pipe.register_modules(image_encoder=encoder)
        pipe.load_ip_adapter([tables] * len(weights), subfolder="", weight_name=[""] * len(weights))
        pipe.set_ip_adapter_scale(weights)
        try:
            return run(pipe, **arguments)
        finally:
            pipe.unload_ip_adapter()
            pipe.unet.set_attn_processor(own)


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_same_pixels_as_diffusers(
    pipes: dict[str, Any], encoder: Any, family: str, kind: str, suffix: str, tmp_path: Path
) -> None:
    pipe = pipes[family]
    tables = random_ip_adapter(kind, pipe.unet)
    info = read_image_prompt_model("x", write_ip_adapter(tables, tmp_path / f"ip{suffix}"))
    assert info.variant == kind
    plain, before = run(pipe), dict(pipe.unet.attn_processors)
    weights_before = {name: tensor.clone() for name, tensor in pipe.unet.state_dict().items()}
    images, weights = [photo("blue"), photo("olive")], [0.7, 0.4]
    reference = by_diffusers(pipe, tables, encoder, weights, ip_adapter_image=images)
    opened = open_image_encoder(write_encoder(encoder, tmp_path / "encoder.safetensors"), "cpu")
    loaded = load_image_prompt_model(info, pipe, CPU, "it")
    prompts = [
        ActiveImagePrompt(weight, *opened.encode(image, layers=info.reads_layers))
        for image, weight in zip(images, weights, strict=True)
    ]
    with use_image_prompts(pipe.unet, loaded, prompts):
        ours = run(pipe, ip_adapter_image_embeds=make_embeds(loaded, prompts, guided=True))
    assert ours == reference != plain
    assert run(pipe) == plain
    now = pipe.unet.state_dict()
    assert now.keys() == weights_before.keys()
    assert all(torch.equal(now[name], tensor) for name, tensor in weights_before.items())
    assert pipe.unet.attn_processors == before
    assert pipe.unet.config.encoder_hid_dim_type is None


def test_without_guidance_there_is_one_row(
    pipes: dict[str, Any], encoder: Any, tmp_path: Path
) -> None:
    pipe = pipes["sd1"]
    tables = random_ip_adapter("plain", pipe.unet)
    info = read_image_prompt_model("x", write_ip_adapter(tables, tmp_path / "ip.bin"))
    opened = open_image_encoder(write_encoder(encoder, tmp_path / "encoder.safetensors"), "cpu")
    loaded = load_image_prompt_model(info, pipe, CPU, "it")
    prompts = [ActiveImagePrompt(1.0, *opened.encode(photo("red"), layers=False))]
    with use_image_prompts(pipe.unet, loaded, prompts):
        embeds = make_embeds(loaded, prompts, guided=False)
        ours = run(pipe, ip_adapter_image_embeds=embeds, guidance_scale=1.0)
    reference = by_diffusers(
        pipe, tables, encoder, [1.0], ip_adapter_image=photo("red"), guidance_scale=1.0
    )
    assert ours == reference


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["ip_adapter"].pop("1.to_k_ip.weight"), "does not fit it, or is incomplete"),
        (lambda t: t["ip_adapter"].update({"1.to_v_ip.weight": torch.zeros(3, 3)}), "width"),
        (lambda t: t["image_proj"].update({"norm.weight": torch.zeros(3)}), "does not fit it"),
        (lambda t: t["image_proj"].pop("proj.bias"), "does not fit it, or is incomplete"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    pipes: dict[str, Any], change: Any, message: str, tmp_path: Path
) -> None:
    unet = pipes["sd1"].unet
    tables = random_ip_adapter("plain", unet)
    change(tables)
    info = read_image_prompt_model("x", write_ip_adapter(tables, tmp_path / "ip.safetensors"))
    with pytest.raises(ModelError, match=message):
        load_image_prompt_model(info, pipes["sd1"], CPU, "it")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vision_model.embeddings.class_embedding", "missing"),
        ("visual_projection.weight", "missing visual_projection.weight"),
        ("vision_model.encoder.layers.1.mlp.fc1.weight", "does not use its"),
    ],
)
def test_an_incomplete_encoder_is_refused(
    encoder: Any, name: str, message: str, tmp_path: Path
) -> None:
    weights = encoder.state_dict()
    del weights[name]

    class Without:
        def state_dict(self) -> dict[str, torch.Tensor]:
            return weights

    with pytest.raises(ModelError, match=message):
        open_image_encoder(write_encoder(Without(), tmp_path / "encoder.safetensors"), "cpu")
