"""IP-Adapters of FLUX.1: the same pixels as diffusers' own way to load them, and the model exactly
as before afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor

from dream.catalogue import ModelRegistry
from dream.catalogue.image_encoders import find_with_encoder
from dream.catalogue.image_prompt_files import read_image_prompt_model
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.control.image_encoder import open_image_encoder
from dream.engine.control.image_prompt import (
    ActiveImagePrompt,
    load_image_prompt_model,
    make_embeds,
    use_image_prompts,
)
from dream.engine.image_generator import ImageGenerator
from dream.engine.memory.device import Placement
from dream.engine.silence_libraries import silence_libraries
from dream.options.control import ImagePrompt
from tests.random_families import FLUX_SIZES, make_flux
from tests.random_image_prompts import (
    ENCODER,
    random_encoder,
    random_flux_ip_adapter,
    write_encoder,
    write_images,
)
from tests.recipes import recipe

CPU = Placement("cpu", "float32", "")


@pytest.fixture(scope="module")
def pipe() -> Any:
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        plain = make_flux()
        config = {k: v for k, v in plain.transformer.config.items() if not k.startswith("_")}
        config |= {"num_layers": 2, "joint_attention_dim": FLUX_SIZES["joint_attention_dim"]}
        transformer = diffusers.FluxTransformer2DModel(**config)
        pipe = diffusers.FluxPipeline(**plain.components | {"transformer": transformer})
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe


@pytest.fixture(scope="module")
def folder(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flux")
    for name in ("ipadapter", "clip_vision"):
        (folder / name).mkdir()
    adapter = random_flux_ip_adapter(pipe.transformer)
    save_file(adapter, folder / "ipadapter" / "flux-ip-adapter.safetensors")
    write_encoder(random_encoder(), folder / "clip_vision" / "any.safetensors")
    with silence_libraries():
        pipe.save_pretrained(folder / "flux")
    write_images(folder)
    return folder


def run(pipe: Any, **arguments: Any) -> bytes:
    pipe.set_progress_bar_config(disable=True)
    with silence_libraries():
        image = pipe(
            "a red circle",
            num_inference_steps=2,
            height=64,
            width=64,
            generator=torch.Generator().manual_seed(5),
            **arguments,
        ).images[0]
    return image.tobytes()


def test_the_same_pixels_as_diffusers(pipe: Any, folder: Path) -> None:
    path = folder / "ipadapter" / "flux-ip-adapter.safetensors"
    images = [Image.open(folder / f"{name}.png").convert("RGB") for name in "ab"]
    weights = [0.7, 0.4]
    plain, before = run(pipe), dict(pipe.transformer.attn_processors)
    opened = open_image_encoder(folder / "clip_vision" / "any.safetensors", "cpu")
    info = read_image_prompt_model("x", path)
    assert (info.family, info.encoder_width) == ("flux", ENCODER["projection"])
    loaded = load_image_prompt_model(info, pipe, CPU, "it")
    prompts = [
        ActiveImagePrompt(weight, *opened.encode(image, layers=info.reads_layers))
        for image, weight in zip(images, weights, strict=True)
    ]
    with use_image_prompts(pipe.transformer, loaded, prompts):
        embeds = make_embeds(loaded, prompts, guided=False)
        ours = run(pipe, ip_adapter_image_embeds=embeds, negative_ip_adapter_image_embeds=embeds)
    assert run(pipe) == plain != ours
    assert pipe.transformer.attn_processors == before
    assert not hasattr(pipe.transformer, "encoder_hid_proj")
    assert "encoder_hid_dim_type" not in pipe.transformer.config
    side = ENCODER["side"]
    theirs = diffusers.FluxPipeline(
        **pipe.components
        | {
            "image_encoder": opened.model,
            "feature_extractor": CLIPImageProcessor(size=side, crop_size=side),
        }
    )
    with silence_libraries():
        theirs.load_ip_adapter([str(path.parent)] * 2, weight_name=[path.name] * 2)
        for parameter in theirs.transformer.parameters():  # its place in memory decides low bits
            parameter.data = parameter.data.clone()
        theirs.set_ip_adapter_scale(weights)
        try:
            reference = run(theirs, ip_adapter_image=images)
        finally:
            theirs.unload_ip_adapter()
            pipe.transformer.set_attn_processor(before)
    assert ours == reference


@pytest.fixture(scope="module")
def generator(folder: Path) -> ImageGenerator:
    registry = ModelRegistry([folder], offline=True)
    return create_generator(
        registry.get_model,
        find_image_prompt=lambda name, count, say: find_with_encoder(name, registry, count, say),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"init_img": "from.png", "strength": 0.6},
        {"init_img": "from.png", "init_mask": "mask.png", "strength": 0.6},
    ],
)
def test_it_works_in_every_task_and_is_gone_afterwards(
    generator: ImageGenerator, folder: Path, changes: dict[str, Any]
) -> None:
    files = {k: str(folder / v) if isinstance(v, str) else v for k, v in changes.items()}

    def generate(*prompts: tuple[str, float]) -> Any:
        shown = tuple(ImagePrompt(str(folder / f"{name}.png"), weight) for name, weight in prompts)
        used = {"image_prompt": shown, "image_prompt_model": "flux-ip-adapter"} if shown else {}
        wanted = recipe(model="flux", sampler="k_euler", **used, **files)
        return generator.generate(wanted, lambda _: None)

    plain = generate()
    both = generate(("a", 1.0), ("b", 0.5))
    assert both.sha256 != plain.sha256
    assert generate(("b", 0.5), ("a", 1.0)).sha256 == both.sha256
    assert generate(("a", 0.0)).sha256 == plain.sha256
    assert generate().sha256 == plain.sha256
    assert len(both.facts["image_prompt_model flux-ip-adapter"]) == 64
    assert len(both.facts["image_encoder sha256"]) == 64
    if "init_mask" in changes:
        kept = np.asarray(both.image)[:12] == np.asarray(Image.open(folder / "from.png"))[:12]
        assert kept.all()


def test_a_file_that_does_not_fit_is_refused(pipe: Any, folder: Path, tmp_path: Path) -> None:
    adapter = random_flux_ip_adapter(pipe.transformer)
    del adapter["double_blocks.1.processor.ip_adapter_double_stream_v_proj.weight"]
    save_file(adapter, tmp_path / "x.safetensors")
    info = read_image_prompt_model("x", tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="does not fit it, or is incomplete"):
        load_image_prompt_model(info, pipe, CPU, "it")
