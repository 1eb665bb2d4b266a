"""Each kind of layer against its dense difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dream.engine.adapters.layer_kinds import (
    UnsupportedLayer,
    compute_difference,
    get_low_rank,
)
from dream.engine.adapters.layer_names import group_by_layer, split_name
from tests.engine.adapters import layers

LINEAR, CONVOLUTION, NORM = (16, 8), (16, 8, 3, 3), (16,)
CASES = [
    *((make, shape) for make in layers.FOR_ALL for shape in (LINEAR, CONVOLUTION)),
    *((make, CONVOLUTION) for make in layers.FOR_CONVOLUTIONS),
    *((make, NORM) for make in layers.FOR_NORMS),
]


@pytest.mark.parametrize(
    ("make", "shape"), CASES, ids=[f"{make.__name__}-{len(shape)}" for make, shape in CASES]
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_layer_is_its_dense_difference(
    make: layers.Make, shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    weight = layers.draw(*shape, seed=9)
    if len(shape) == 4:
        weight = weight.to(memory_format=layout)
    leaves, wanted = make(weight)
    delta = compute_difference(leaves, weight).weight
    assert delta is not None
    assert delta.dtype == torch.float32
    error = np.abs(layers.dense(delta) - wanted).max() / np.abs(wanted).max()
    assert error <= 1e-6
    if low_rank := get_low_rank(leaves, weight):
        up, down, scale = low_rank
        again = (up @ down * scale).reshape(shape)
        assert np.abs(layers.dense(again) - wanted).max() / np.abs(wanted).max() <= 1e-6


def test_a_scalar_multiplies() -> None:
    weight = layers.draw(*LINEAR)
    leaves, wanted = layers.loha(weight)
    delta = compute_difference({**leaves, "scalar": torch.tensor(0.5)}, weight).weight
    assert delta is not None
    assert np.allclose(layers.dense(delta), wanted / 2, atol=1e-6)


@pytest.mark.parametrize(
    "leaves",
    [
        {"alpha": torch.tensor(1.0)},
        {"down": torch.zeros(2, 8)},
        {"down": torch.zeros(2, 9), "up": torch.zeros(16, 2)},
        {"down": torch.zeros(2, 8), "up": torch.zeros(16, 3)},
        {"lokr_w1": torch.zeros(3, 3), "lokr_w2": torch.zeros(3, 3)},
        {"lokr_w1": torch.zeros(4, 2), "lokr_w2_a": torch.zeros(4, 2)},
        {"diff": torch.zeros(16, 9)},
        {"oft_blocks": torch.zeros(5, 3, 3)},
        {"ia3": torch.zeros(3), "on_input": torch.tensor(True)},
    ],
    ids=lambda leaves: " ".join(leaves),
)
def test_what_does_not_fit_is_an_error(leaves: layers.Leaves) -> None:
    with pytest.raises(UnsupportedLayer):
        compute_difference(leaves, layers.draw(*LINEAR))


@pytest.mark.parametrize(
    ("name", "layer", "leaf"),
    [
        ("lora_unet_mid_block_proj_in.lora_down.weight", "lora_unet_mid_block_proj_in", "down"),
        ("unet.mid.to_k.lora_A.weight", "unet.mid.to_k", "down"),
        ("a.to_k.lora_B.default.weight", "a.to_k", "up"),
        ("unet.a.attn1.processor.to_k_lora.down.weight", "unet.a.attn1.to_k", "down"),
        ("a.attn1.processor.to_out_lora.up.weight", "a.attn1.to_out.0", "up"),
        ("text_encoder.a.q_proj.lora_linear_layer.up.weight", "text_encoder.a.q_proj", "up"),
        ("lora_te_x.alpha", "lora_te_x", "alpha"),
        ("lycoris_x.lokr_w2_a", "lycoris_x", "lokr_w2_a"),
        ("x.lora_magnitude_vector", "x", "magnitude"),
        ("x.bias_indices", "x.bias_indices", ""),
    ],
)
def test_names_are_split(name: str, layer: str, leaf: str) -> None:
    assert split_name(name) == (layer, leaf)


def test_a_weight_is_of_a_kind_only_beside_on_input() -> None:
    one = torch.zeros(1)
    groups, unknown = group_by_layer({"a.weight": one, "b.weight": one, "b.on_input": one})
    assert list(groups) == ["b"]
    assert unknown == ("a.weight",)
