"""LoRAs in whole images: with them, without them again, and what is recorded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.adapters import weight_merge
from dream.engine.image_generator import ImageGenerator
from dream.options.lora import Lora
from tests.engine.adapters import files, layers
from tests.random_models import WIDTH
from tests.recipes import recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loras")


@pytest.fixture(scope="module")
def generator(random_models: Path, folder: Path) -> ImageGenerator:
    """With the LoRAs `unet` and `text` for the model `random`."""
    generator = create_generator(
        ModelRegistry([random_models]).get_model,
        find_adapter=lambda kind, name: folder / f"{name}.safetensors",
    )
    pipe = generator.load("random", lambda _: None).pipe
    for component, name in (("unet", "unet"), ("text_encoder", "text")):
        parts = {
            (component, layer): layers.lora(files.weight_of(pipe, component, layer))[0]
            for layer, module in getattr(pipe, component).named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        files.write(folder / f"{name}.safetensors", pipe, parts)
    return generator


def generate(generator: ImageGenerator, *loras: Lora, **changes: Any) -> Any:
    return generator.generate(recipe(lora=loras or None, **changes), lambda _: None)


def test_it_changes_the_image_and_is_gone_afterwards(generator: ImageGenerator) -> None:
    plain = generate(generator)
    for name in ("unet", "text"):
        with_it = generate(generator, Lora(name))
        assert with_it.sha256 != plain.sha256
        assert generate(generator).sha256 == plain.sha256
        assert generate(generator, Lora(name)).sha256 == with_it.sha256
        assert generate(generator, Lora(name, 0)).sha256 == plain.sha256
        assert generate(generator, Lora(name, 0.5)).sha256 not in (plain.sha256, with_it.sha256)
    halves = generate(generator, Lora("unet", 0.5), Lora("unet", 0.5))
    assert halves.sha256 != plain.sha256


def test_quantized_layers_get_it_beside_their_weights(generator: ImageGenerator) -> None:
    plain = generate(generator, quantize="int8")
    for name in ("unet", "text"):
        assert generate(generator, Lora(name), quantize="int8").sha256 != plain.sha256
        assert generate(generator, quantize="int8").sha256 == plain.sha256


def test_both_parts_have_their_own_weight(generator: ImageGenerator) -> None:
    plain = generate(generator)
    assert generate(generator, Lora("unet", 0, 1)).sha256 == plain.sha256
    assert generate(generator, Lora("text", 1, 0)).sha256 == plain.sha256


def test_hashes_are_recorded(generator: ImageGenerator, folder: Path) -> None:
    facts = generate(generator, Lora("text", 0), Lora("unet")).facts
    digests = [
        hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()
        for name in ("text", "unet")
    ]
    assert facts["lora"] == ",".join(digest[:16] for digest in digests)
    assert [facts["lora text"], facts["lora unet"]] == digests
    assert "lora" not in generate(generator).facts


def test_an_embedding_in_a_lora_is_used(generator: ImageGenerator, folder: Path) -> None:
    """OneTrainer puts them there; the LoRA itself is as without."""
    tensors = load_file(folder / "unet.safetensors")
    vectors = {"bundle_emb.mystyle.string_to_param.*": layers.draw(2, WIDTH, scale=3.0)}
    save_file(tensors | vectors, folder / "bundled.safetensors")
    for prompt, same in (("a cat", True), ("a mystyle cat", False)):
        alone, bundled = (
            generate(generator, Lora(name), prompt=prompt) for name in ("unet", "bundled")
        )
        assert (alone.sha256 == bundled.sha256) is same
        assert ("embedding mystyle" in bundled.facts) and "embedding" not in alone.facts


def test_a_changed_file_is_read_again(generator: ImageGenerator, folder: Path) -> None:
    path = folder / "changing.safetensors"
    path.write_bytes((folder / "unet.safetensors").read_bytes())
    first = generate(generator, Lora("changing"))
    path.write_bytes((folder / "text.safetensors").read_bytes())
    second = generate(generator, Lora("changing"))
    assert second.sha256 == generate(generator, Lora("text")).sha256 != first.sha256
    assert first.sha256 == generate(generator, Lora("unet")).sha256


def test_one_that_does_not_fit_leaves_the_model_as_it_was(
    generator: ImageGenerator, folder: Path
) -> None:
    plain = generate(generator)
    pipe = generator.load("random", lambda _: None).pipe
    files.write(folder / "odd.safetensors", pipe, {("unet", "nowhere"): {"diff": torch.zeros(1)}})
    with pytest.raises(ModelError, match=r"odd does not fit random: 1 of its 1 tensors"):
        generate(generator, Lora("unet"), Lora("odd"))
    assert generate(generator).sha256 == plain.sha256


def test_without_room_the_model_is_loaded_again(
    random_models: Path, folder: Path, generator: ImageGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, with_it = generate(generator), generate(generator, Lora("unet"))
    other = create_generator(
        ModelRegistry([random_models]).get_model,
        find_adapter=lambda kind, name: folder / f"{name}.safetensors",
    )
    monkeypatch.setattr(weight_merge, "measure_free_memory", lambda device: 0)
    assert generate(other, Lora("unet")).sha256 == with_it.sha256
    first = other.load("random", lambda _: None)
    assert generate(other, Lora("unet")).sha256 == with_it.sha256
    assert other.load("random", lambda _: None) is first, "the same set costs nothing"
    assert generate(other).sha256 == plain.sha256
    assert other.load("random", lambda _: None) is not first
