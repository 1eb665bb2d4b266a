"""LoRAs of newer families: diffusers' names, and those of the original code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
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


Pipes = Callable[[str], Any]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> Pipes:
    """The model of each family, made once."""
    return cache(lambda family: FAMILIES[family][0](tmp_path_factory.mktemp(family)))


@pytest.fixture(scope="module")
def flux(pipes: Pipes) -> Any:
    return pipes("flux")


def merge_and_undo(
    pipe: Any, tensors: dict[str, torch.Tensor], folder: Path, part: str, name: str
) -> torch.Tensor:
    """A layer's weight while a LoRA with these tensors is on; afterwards it is as before."""
    before = weight_of(pipe, part, name)
    save_file(tensors, folder / "x.safetensors")
    state = MergedWeights()
    merge(state, [weighted(folder / "x.safetensors")], pipe, "model")
    changed = weight_of(pipe, part, name)
    undo(state, pipe)
    assert torch.equal(weight_of(pipe, part, name), before)
    return changed


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_diffusers(family: str, pipes: Pipes, tmp_path: Path) -> None:
    pipe, name = pipes(family), FAMILIES[family][1]
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


KOHYA = ("lora_unet_{}.lora_down.weight", "lora_unet_{}.lora_up.weight")
AI_TOOLKIT = ("diffusion_model.{}.lora_A.weight", "diffusion_model.{}.lora_B.weight")


@pytest.mark.parametrize("keys", [KOHYA, AI_TOOLKIT], ids=["kohya", "ai-toolkit"])
@pytest.mark.parametrize(
    ("family", "original", "names"),
    [
        ("flux", "double_blocks.0.img_attn.qkv", "transformer_blocks.0.attn.to_{}"),
        ("flux2", "double_blocks.0.img_attn.qkv", "transformer_blocks.0.attn.to_{}"),
        ("z-image", "layers.0.attention.qkv", "layers.0.attention.to_{}"),
    ],
)
def test_original_names_with_one_matrix_for_three(
    family: str, original: str, names: str, keys: tuple[str, str], pipes: Pipes, tmp_path: Path
) -> None:
    """Keys, queries and values are one matrix there, with an alpha of its own."""
    pipe, three = pipes(family), [names.format(letter) for letter in "qkv"]
    before = [weight_of(pipe, "transformer", name) for name in three]
    down, up = layers.draw(4, before[0].shape[1]), layers.draw(3 * len(before[0]), 4, seed=1)
    is_kohya = keys is KOHYA
    layer = original.replace(".", "_") if is_kohya else original
    tensors = {keys[0].format(layer): down, keys[1].format(layer): up}
    if is_kohya:
        tensors[f"lora_unet_{layer}.alpha"] = torch.tensor(1.0)
    save_file(tensors, tmp_path / "x.safetensors")
    state = MergedWeights()
    merge(state, [weighted(tmp_path / "x.safetensors")], pipe, "model")
    for name, was, its in zip(three, before, up.chunk(3), strict=True):
        part = its @ down * (0.25 if is_kohya else 1)
        assert torch.allclose(weight_of(pipe, "transformer", name), was + part, atol=1e-5)
    undo(state, pipe)
    for name, was in zip(three, before, strict=True):
        assert torch.equal(weight_of(pipe, "transformer", name), was)


def test_what_a_conversion_leaves_out_is_applied_or_missing(pipes: Pipes, tmp_path: Path) -> None:
    """diffusers' functions drop what they do not know; here it counts as any other tensor."""
    pipe, path = pipes("flux"), tmp_path / "x.safetensors"
    unet, text = "transformer_blocks.0.attn.to_out.0", "encoder.block.0.layer.0.SelfAttention.q"
    before = weight_of(pipe, "transformer", unet), weight_of(pipe, "text_encoder_2", text)
    tensors: dict[str, torch.Tensor] = {}
    for layer, weight in zip(
        ("lora_unet_double_blocks_0_img_attn_proj", f"lora_te3_{text.replace('.', '_')}"),
        before,
        strict=True,
    ):
        leaves = layers.lora_without_alpha(weight)[0]
        tensors |= {f"{layer}.lora_{leaf}.weight": leaves[leaf] for leaf in ("down", "up")}
    save_file(tensors, path)
    state = MergedWeights()
    merge(state, [weighted(path)], pipe, "model")
    assert not torch.equal(weight_of(pipe, "transformer", unet), before[0])
    assert not torch.equal(weight_of(pipe, "text_encoder_2", text), before[1])
    undo(state, pipe)
    for odd in ("lora_unet_double_blocks_0_img_attn_nowhere", "lora_te3_nowhere"):
        nowhere = {f"{odd}.lora_{leaf}.weight": torch.zeros(2, 2) for leaf in ("down", "up")}
        save_file(tensors | nowhere, path)
        with pytest.raises(ModelError, match=rf"[24] of its 6 tensors have no place in it \({odd}"):
            merge(state, [weighted(path)], pipe, "model")
    assert torch.equal(weight_of(pipe, "transformer", unet), before[0])


def test_a_t5_beside_clip_is_kohyas_third_text_encoder(pipes: Pipes, tmp_path: Path) -> None:
    pipe, name = pipes("flux"), "encoder.block.0.layer.0.SelfAttention.q"
    original = weight_of(pipe, "text_encoder_2", name)
    leaves, delta = layers.lora_without_alpha(original)
    layer = "lora_te3_" + name.replace(".", "_")
    tensors = {f"{layer}.lora_{leaf}.weight": leaves[leaf] for leaf in ("down", "up")}
    changed = merge_and_undo(pipe, tensors, tmp_path, "text_encoder_2", name)
    assert torch.allclose(changed, original + torch.from_numpy(delta).float(), atol=1e-6)


def test_xlabs_names_of_flux(flux: Any, tmp_path: Path) -> None:
    name = "transformer_blocks.0.attn.to_out.0"
    original = weight_of(flux, "transformer", name)
    down, up = layers.draw(4, original.shape[1]), layers.draw(len(original), 4, seed=1)
    layer = "double_blocks.0.processor.proj_lora1"
    tensors = {f"{layer}.down.weight": down, f"{layer}.up.weight": up}
    changed = merge_and_undo(flux, tensors, tmp_path, "transformer", name)
    assert torch.allclose(changed, original + up @ down, atol=1e-5)


def test_lycoris_names_of_qwen_image(pipes: Pipes, tmp_path: Path) -> None:
    pipe = pipes("qwen-image")
    name = "transformer_blocks.0.attn.to_q"
    original = weight_of(pipe, "transformer", name)
    leaves, delta = layers.lokr(original)
    layer = "lycoris_" + name.replace(".", "_")
    tensors = {f"{layer}.{leaf}": tensor.clone() for leaf, tensor in leaves.items()}
    changed = merge_and_undo(pipe, tensors, tmp_path, "transformer", name)
    assert torch.allclose(changed, original + torch.from_numpy(delta).float(), atol=1e-6)


def test_a_control_lora_of_flux_is_refused(flux: Any, tmp_path: Path) -> None:
    """Its norms are whole weights, and its first layer takes more channels."""
    name = "transformer_blocks.0.attn.to_out.0"
    before = weight_of(flux, "transformer", name)
    down, up = layers.draw(4, before.shape[1]), layers.draw(len(before), 4, seed=1)
    layer = "double_blocks.0.img_attn"
    tensors = {f"{layer}.proj.lora_A.weight": down, f"{layer}.proj.lora_B.weight": up}
    tensors |= {f"{layer}.proj.lora_B.bias": up[:, 0].clone()}
    tensors |= {f"{layer}.norm.key_norm.scale": torch.ones(8)}
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"tensors have no place in it .*FLUX\.1"):
        merge(MergedWeights(), [weighted(tmp_path / "x.safetensors")], flux, "model")
    assert torch.equal(weight_of(flux, "transformer", name), before)


def test_one_for_another_family_has_no_place(flux: Any, tmp_path: Path) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{layer}.lora_down.weight": torch.zeros(2, 768)}
    save_file({**tensors, f"{layer}.lora_up.weight": torch.zeros(4, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"2 of its 2 tensors have no place.*Diffusion 1\)"):
        merge(MergedWeights(), [weighted(tmp_path / "x.safetensors")], flux, "model")
