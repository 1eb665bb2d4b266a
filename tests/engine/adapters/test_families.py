"""LoRAs of newer families: diffusers' names, and those of the original code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dream.core.errors import ModelError
from dream.engine.adapters.weight_merge import MergedWeights, merge, undo
from tests.engine.adapters import layers
from tests.engine.adapters.files import weight_of
from tests.engine.adapters.test_merge import weighted
from tests.random_families import make_flux, make_qwen_image, make_z_image
from tests.random_layouts import make_sd3
from tests.random_others import make_flux_2_klein

Make = Callable[[Path], Any]

FAMILIES: dict[str, tuple[Make, str]] = {
    "sd3": (lambda folder: make_sd3(), "transformer_blocks.0.attn.to_k"),
    "flux": (lambda folder: make_flux(), "single_transformer_blocks.0.attn.to_k"),
    "flux2": (make_flux_2_klein, "transformer_blocks.0.attn.to_k"),
    "z-image": (make_z_image, "layers.0.attention.to_k"),
    "qwen-image": (make_qwen_image, "transformer_blocks.0.attn.to_k"),
}


@pytest.fixture(scope="module")
def flux() -> Any:
    return make_flux()


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_diffusers(family: str, tmp_path: Path) -> None:
    make, name = FAMILIES[family]
    pipe = make(tmp_path)
    original = weight_of(pipe, "transformer", name)
    leaves, delta = layers.lora_without_alpha(original)
    wanted = original + torch.from_numpy(delta).float()
    flat = name.replace(".", "_")
    spellings = {
        "peft": {
            f"transformer.{name}.lora_A.weight": "down",
            f"transformer.{name}.lora_B.weight": "up",
        },
        "kohya": {
            f"lora_unet_{flat}.lora_down.weight": "down",
            f"lora_unet_{flat}.lora_up.weight": "up",
        },
        "onetrainer": {
            f"lora_transformer_{flat}.lora_down.weight": "down",
            f"lora_transformer_{flat}.lora_up.weight": "up",
        },
        "bare": {f"{name}.lora_down.weight": "down", f"{name}.lora_up.weight": "up"},
    }
    for spelling, keys in spellings.items():
        path = tmp_path / f"{spelling}.safetensors"
        save_file({key: leaves[leaf].clone() for key, leaf in keys.items()}, path)
        state = MergedWeights()
        merge(state, [weighted(path)], pipe, "model")
        assert torch.allclose(weight_of(pipe, "transformer", name), wanted, atol=1e-6), spelling
        undo(state, pipe)
        assert torch.equal(weight_of(pipe, "transformer", name), original)


QKV = [f"transformer_blocks.0.attn.to_{letter}" for letter in "qkv"]


@pytest.mark.parametrize(
    ("prefix", "join", "down", "up"),
    [
        ("lora_unet_", "_", "lora_down.weight", "lora_up.weight"),
        ("diffusion_model.", ".", "lora_A.weight", "lora_B.weight"),
    ],
    ids=["kohya", "ai-toolkit"],
)
def test_original_names_of_flux(
    flux: Any, prefix: str, join: str, down: str, up: str, tmp_path: Path
) -> None:
    """Keys, queries and values are one matrix there, with an alpha of its own."""
    before = [weight_of(flux, "transformer", name) for name in QKV]
    wide = layers.draw(4, before[0].shape[1]), layers.draw(3 * len(before[0]), 4, seed=1)
    layer = prefix + join.join(["double_blocks", "0", "img_attn", "qkv"])
    tensors = {f"{layer}.{down}": wide[0], f"{layer}.{up}": wide[1]}
    scale = 1.0
    if prefix == "lora_unet_":
        tensors[f"{layer}.alpha"] = torch.tensor(1.0)
        scale = 0.25
    save_file(tensors, tmp_path / "x.safetensors")
    state = MergedWeights()
    merge(state, [weighted(tmp_path / "x.safetensors")], flux, "model")
    for number, (name, original) in enumerate(zip(QKV, before, strict=True)):
        part = wide[1].chunk(3)[number] @ wide[0] * scale
        assert torch.allclose(weight_of(flux, "transformer", name), original + part, atol=1e-5)
    undo(state, flux)
    for name, original in zip(QKV, before, strict=True):
        assert torch.equal(weight_of(flux, "transformer", name), original)


def test_xlabs_names_of_flux(flux: Any, tmp_path: Path) -> None:
    name = "transformer_blocks.0.attn.to_out.0"
    original = weight_of(flux, "transformer", name)
    down, up = layers.draw(4, original.shape[1]), layers.draw(len(original), 4, seed=1)
    layer = "double_blocks.0.processor.proj_lora1"
    save_file({f"{layer}.down.weight": down, f"{layer}.up.weight": up}, tmp_path / "x.safetensors")
    state = MergedWeights()
    merge(state, [weighted(tmp_path / "x.safetensors")], flux, "model")
    assert torch.allclose(weight_of(flux, "transformer", name), original + up @ down, atol=1e-5)
    undo(state, flux)


def test_one_for_another_family_has_no_place(flux: Any, tmp_path: Path) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{layer}.lora_down.weight": torch.zeros(2, 768)}
    save_file({**tensors, f"{layer}.lora_up.weight": torch.zeros(4, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"2 of its 2 tensors have no place.*Diffusion 1\)"):
        merge(MergedWeights(), [weighted(tmp_path / "x.safetensors")], flux, "model")
