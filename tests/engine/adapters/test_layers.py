"""Each kind of layer against its dense difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dream.engine.adapters.layer_kinds import compute_difference, get_low_rank
from dream.engine.adapters.layer_names import group_by_layer, split_name
from dream.engine.adapters.layer_shapes import UnsupportedLayer, check_shapes
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
        {"down": torch.zeros(128), "up": torch.zeros(128)},
        {"down": torch.tensor(1.0), "up": torch.zeros(16, 1)},
        *(
            {"down": torch.zeros(2, 8), "up": torch.zeros(16, 2), name: torch.zeros(*shape)}
            for name in ("alpha", "scalar", "dora_scale", "magnitude", "mid")
            for shape in ((2,), (0,))
        ),
        {"down": torch.zeros(2, 8), "up": torch.zeros(16, 2), "dora_scale": torch.tensor(1.0)},
        {"ia3": torch.zeros(16), "on_input": torch.zeros(2)},
        {"oft_blocks": torch.zeros(16)},
        {"oft_diag": torch.tensor(1.0)},
        {"diff": torch.tensor(1.0)},
        {f"hada_w{n}_{side}": torch.zeros(16) for n in "12" for side in "ab"},
        {f"glora_{side}{n}": torch.zeros(16) for n in "12" for side in "ab"},
    ],
    ids=lambda leaves: " ".join(leaves),
)
def test_what_does_not_fit_is_an_error(leaves: layers.Leaves) -> None:
    with pytest.raises(UnsupportedLayer):
        compute_difference(leaves, layers.draw(*LINEAR))


LONG = 45_000


@pytest.mark.parametrize(
    "shapes",
    [
        {"up": (LONG, 1), "down": (1, LONG)},
        {"up": (16, 1, 1, 1), "down": (2**19, 8, 1, 1), "mid": (1, 2**19, 3, 3)},
        {"up": (LONG, 1), "down": (1, LONG), "mid": (1, 1, 3, 3)},
        {"hada_w1_a": (LONG, 1), "hada_w1_b": (1, LONG), "hada_w2_a": (1, 1), "hada_w2_b": (1, 1)},
        {"hada_w1_a": (16, 1), "hada_w1_b": (1, 1), "hada_w2_a": (1, 1), "hada_w2_b": (1, LONG)},
        {"lokr_w1": (128, 128), "lokr_w2": (128, 128)},
        {"lokr_w1_a": (LONG, 1), "lokr_w1_b": (1, LONG), "lokr_w2": (1, 1)},
        {
            "lokr_w1": (1, 1),
            "lokr_w2_a": (1, LONG),
            "lokr_w2_b": (1, LONG),
            "lokr_t2": (1, 1, 9, 9),
        },
        {"glora_a1": (1, LONG), "glora_a2": (LONG, 1), "glora_b1": (1, 8), "glora_b2": (16, 1)},
        {"glora_a1": (1, 8), "glora_a2": (8, 1), "glora_b1": (1, LONG), "glora_b2": (LONG, 1)},
        {"oft_blocks": (1, 1, LONG)},
        {"oft_diag": (1, LONG, 1)},
        {"oft_blocks": (4, 4, 4), "rescale": (LONG, 1)},
        {"up": (16, 1), "down": (1, 72), "dora_scale": (LONG, 1)},
        {"up": (16, 1), "down": (1, 72), "magnitude": (LONG,)},
        {"diff": (LONG, 1)},
        {"up": (16, 2**21), "down": (2**21, 72)},
    ],
    ids=lambda shapes: " ".join(f"{name}{shape}" for name, shape in shapes.items()),
)
def test_what_does_not_fit_is_refused_before_it_is_computed(
    shapes: dict[str, tuple[int, ...]],
) -> None:
    """Tensors without memory: whatever is computed of them fails in another way."""
    leaves = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    with pytest.raises(UnsupportedLayer, match="do not fit a weight of 16x8x3x3"):
        check_shapes(leaves, torch.empty(16, 8, 3, 3, device="meta"))


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
