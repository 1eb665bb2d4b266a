"""Image prompts in whole images: in every task, with what else a line can have, and gone again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.catalogue.control_files import get_control
from dream.catalogue.image_encoders import find_with_encoder
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Loading
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.memory.memory_estimate import estimate_memory
from dream.options.control import Control, ImagePrompt
from dream.options.lora import Lora
from tests.engine.adapters import files, layers
from tests.engine.control.test_control import make_controlnet
from tests.random_image_prompts import (
    random_encoder,
    random_ip_adapter,
    write_encoder,
    write_images,
    write_ip_adapter,
)
from tests.recipes import recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


@pytest.fixture(scope="module")
def generator(random_models: Path, folder: Path) -> ImageGenerator:
    registry = ModelRegistry([random_models, folder], offline=True)
    generator = create_generator(
        registry.get_model,
        find_adapter=lambda kind, name: folder / f"{name}.safetensors",
        find_control=lambda name: get_control(name, [folder]),
        find_image_prompt=lambda name, count, say: find_with_encoder(name, registry, count, say),
    )
    pipe = generator.load("random", lambda _: None).pipe
    for kind in ("plain", "plus"):
        path = folder / "ipadapter" / f"{kind}.safetensors"
        write_ip_adapter(random_ip_adapter(kind, pipe.unet), path)
    write_encoder(random_encoder(), folder / "clip_vision" / "any.safetensors")
    make_controlnet(pipe.unet, 3).save_pretrained(folder / "controlnet" / "edges")
    parts = {
        ("unet", layer): layers.lora(files.weight_of(pipe, "unet", layer))[0]
        for layer, module in pipe.unet.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    files.write(folder / "style.safetensors", pipe, parts)
    return generator


def generate(generator: ImageGenerator, *prompts: tuple[str, float], **changes: Any) -> Any:
    shown = tuple(ImagePrompt(*prompt) for prompt in prompts) or None
    model = changes.pop("adapter", "plain") if shown else None
    return generator.generate(
        recipe(image_prompt=shown, image_prompt_model=model, **changes), lambda _: None
    )


def test_it_changes_the_image_and_is_gone_afterwards(
    generator: ImageGenerator, folder: Path
) -> None:
    a, b = str(folder / "a.png"), str(folder / "b.png")
    plain = generate(generator)
    unet = generator.load("random", lambda _: None).pipe.unet
    weights = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    one = generate(generator, (a, 1.0))
    assert generate(generator, (a, 0.0)).sha256 == plain.sha256
    assert generate(generator).sha256 == plain.sha256
    assert generate(generator, (a, 1.0)).sha256 == one.sha256
    both = generate(generator, (a, 1.0), (b, 0.5))
    assert generate(generator, (b, 0.5), (a, 1.0)).sha256 == both.sha256
    images = [plain, one, both, generate(generator, (b, 1.0)), generate(generator, (a, 0.4))]
    images.append(generate(generator, (a, 1.0), adapter="plus"))
    assert len({image.sha256 for image in images}) == len(images)
    assert unet.state_dict().keys() == weights.keys()
    assert all(torch.equal(unet.state_dict()[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    "changes",
    [
        {"init_img": "from.png", "strength": 0.6},
        {"init_img": "from.png", "init_mask": "mask.png", "strength": 0.6},
        {"width": 128, "height": 128, "hires_fix": 0.5},
        {"cfg_scale": 1.0},
        {"pag": 3.0},
        {"lora": (Lora("style"),)},
        {"prompt": "a ((red)) cat and a very very long story" * 5, "syntax": "invokeai"},
        {"prompt": '("a cat", "a dog").and()', "syntax": "invokeai"},
        {"cache": 2},
        {"control": "a.png", "cache": 2},
        {"control": "a.png"},
        {"control": "a.png", "init_img": "from.png", "init_mask": "mask.png", "strength": 0.9,
         "lora": (Lora("style"),)},
    ],
    ids=str,
)  # fmt: skip
def test_it_works_with_everything_else(
    generator: ImageGenerator, folder: Path, changes: dict[str, Any]
) -> None:
    def expand(name: str, value: Any) -> dict[str, Any]:
        if name == "control":
            used = (Control("canny", str(folder / value)),)
            return {"control": used, "control_model": ("edges",), "control_raw": True}
        return {name: str(folder / value) if name in ("init_img", "init_mask") else value}

    expanded: dict[str, Any] = {}
    for name, value in changes.items():
        expanded |= expand(name, value)
    prompt = (str(folder / "a.png"), 1.0)
    without = generate(generator, **expanded)
    with_it = generate(generator, prompt, **expanded)
    assert with_it.sha256 != without.sha256
    assert generate(generator, prompt, **expanded).sha256 == with_it.sha256
    assert generate(generator, (prompt[0], 0.0), **expanded).sha256 == without.sha256
    assert generate(generator, **expanded).sha256 == without.sha256


def test_the_hashes_of_image_adapter_and_encoder_are_recorded(
    generator: ImageGenerator, folder: Path
) -> None:
    facts = generate(generator, (str(folder / "a.png"), 1.0)).facts

    def digest(name: str) -> str:
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()

    assert facts["image_prompt"] == digest("a.png")
    assert facts["image_prompt_model"] == digest("ipadapter/plain.safetensors")[:16]
    assert facts["image_prompt_model plain"] == digest("ipadapter/plain.safetensors")
    assert facts["image_encoder"] == digest("clip_vision/any.safetensors")[:16]


@pytest.mark.usefixtures("generator")  # writes the files
def test_adapter_and_encoder_count_in_max_memory_and_leave_before_the_model(
    random_models: Path, folder: Path
) -> None:
    """The encoder is not needed any more when the adapter is loaded."""
    registry = ModelRegistry([random_models, folder], offline=True)
    weight = estimate_memory(registry.get_model("random"), "cpu", "auto").weights
    adapter, plus, encoder = (
        (folder / name).stat().st_size
        for name in (
            *("ipadapter/plain.safetensors", "ipadapter/plus.safetensors"),
            "clip_vision/any.safetensors",
        )
    )

    def open_with(more: float) -> ImageGenerator:
        return create_generator(
            registry.get_model,
            DeviceConfig(max_memory=(weight + more) / 2**30),
            find_image_prompt=lambda name, n, say: find_with_encoder(name, registry, n, say),
        )

    def list_loaded(generator: ImageGenerator, *adapters: str) -> list[str]:
        reported: list[Any] = []
        for name in adapters:
            shown = (ImagePrompt(str(folder / "a.png")),)
            wanted = recipe(image_prompt=shown, image_prompt_model=name, steps=1)
            generator.generate(wanted, reported.append)
        return [event.model for event in reported if isinstance(event, Loading)]

    roomy = open_with(1.1 * (adapter + plus + encoder))
    assert list_loaded(roomy, "plain", "plus", "plain") == ["random", "plain", "plus"]
    tight = open_with(1.05 * max(adapter, plus, encoder))
    assert list_loaded(tight, "plain", "plus", "plain") == ["random", "plain", "plus", "plain"]
    assert tight.list_loaded() == ("random",)
    with pytest.raises(OutOfMemory, match="max_memory"):
        list_loaded(open_with(0.5 * encoder), "plain")


def test_swap_is_refused_by_name(generator: ImageGenerator, folder: Path) -> None:
    prompt = 'a cat.swap("dog")'
    with pytest.raises(ModelError, match=r"\.swap\(\) is not supported with --image_prompt"):
        generate(
            generator, (str(folder / "a.png"), 1.0), prompt=f"{prompt} on a mat", syntax="invokeai"
        )
