"""Hypernetworks of AUTOMATIC1111's web UI, read and applied as it does, and undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.adapters.hypernetworks import open_hypernetwork, use_hypernetworks
from dream.options.lora import Hypernet
from tests.random_models import WIDTH
from tests.recipes import recipe

ACTIVATIONS = {"relu": nn.ReLU, "swish": nn.Hardswish, "linear": nn.Identity}


def network(width: int, activation: str, norm: bool, output: bool, seed: int) -> nn.Sequential:
    """As the web UI builds one, for the structure 1, 2, 1, with dropout."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    sizes = (width, 2 * width, width)
    for number in range(2):
        layers.append(nn.Linear(sizes[number], sizes[number + 1]))
        if activation != "linear" and (number == 0 or output):
            layers.append(ACTIVATIONS[activation]())
        if norm:
            layers.append(nn.LayerNorm(sizes[number + 1]))
        if number == 0:
            layers.append(nn.Dropout(0.3))
    return nn.Sequential(*layers).eval()


def write(
    path: Path, widths: list[int], activation: str = "relu", norm: bool = False, output: bool = True
) -> dict[int, tuple[nn.Sequential, nn.Sequential]]:
    """A file with a pair of networks for each width."""
    with torch.random.fork_rng():
        pairs = {
            width: (
                network(width, activation, norm, output, 1),
                network(width, activation, norm, output, 2),
            )
            for width in widths
        }
    whole: dict[Any, Any] = {
        width: tuple(
            {f"linear.{name}": tensor for name, tensor in part.state_dict().items()}
            for part in pair
        )
        for width, pair in pairs.items()
    }
    whole |= {
        "step": 5000,
        "name": "x",
        "layer_structure": [1, 2, 1],
        "activation_func": activation,
        "is_layer_norm": norm,
        "activate_output": output,
        "use_dropout": True,
    }
    torch.save(whole, path)
    return pairs


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("output", [True, False])
def test_it_computes_what_the_web_ui_does(
    activation: str, norm: bool, output: bool, tmp_path: Path
) -> None:
    pairs = write(tmp_path / "x.pt", [16], activation, norm, output)
    opened = open_hypernetwork("x", tmp_path / "x.pt")
    x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(3))
    for side in range(2):
        wanted = pairs[16][side](x)
        assert torch.allclose(opened.compute(opened.networks[16][side], x), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"linear.0.weight": torch.zeros(16, 8)},
        {"linear.0.weight": torch.zeros(8, 16)},
        {"linear.0.weight": torch.zeros(16)[None].expand(16, 16).long()},
        {"linear.0.weight": torch.zeros(16, 16), "linear.0.bias": torch.zeros(8)},
        {"linear.0.weight": torch.zeros(16, 16), "linear.1.weight": torch.zeros(8)},
        {"linear.0.weight": torch.tensor(1.0)},
        {"linear.0.weight": torch.zeros(2000, 16), "linear.1.weight": torch.zeros(16, 2000)},
        {"linear.x.weight": torch.zeros(16, 16)},
    ],
)
def test_shapes_that_do_not_fit_each_other_are_refused(
    part: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save({16: (part, part)}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="is not a hypernetwork"):
        open_hypernetwork("x", tmp_path / "x.pt")


def test_old_names_of_layers_are_read(tmp_path: Path) -> None:
    first, second = torch.randn(32, 16), torch.randn(16, 32)
    part = {"linear1.weight": first, "linear2.weight": second, "linear1.bias": torch.zeros(32)}
    torch.save({16: (part, part)}, tmp_path / "x.pt")
    opened = open_hypernetwork("x", tmp_path / "x.pt")
    x = torch.randn(2, 16)
    assert torch.allclose(
        opened.compute(opened.networks[16][0], x), x @ first.T @ second.T, atol=1e-4
    )


@pytest.mark.parametrize("whole", [{"a": 1}, {16: 3}, {16: ({}, {}), "activation_func": "evil"}])
def test_what_is_not_one_is_said(whole: dict[Any, Any], tmp_path: Path) -> None:
    torch.save(whole, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="is not a hypernetwork"):
        open_hypernetwork("x", tmp_path / "x.pt")


def test_images_change_and_change_back(random_models: Path, tmp_path: Path) -> None:
    write(tmp_path / "x.pt", [WIDTH])
    write(tmp_path / "wide.pt", [7])
    generator = create_generator(
        ModelRegistry([random_models]).get_model,
        find_adapter=lambda kind, name: tmp_path / f"{name}.pt",
    )

    def generate(*nets: Hypernet) -> Any:
        return generator.generate(recipe(hypernet=nets or None), lambda _: None)

    plain, changed = generate(), generate(Hypernet("x"))
    assert changed.sha256 != plain.sha256
    assert generate(Hypernet("x", 0.5)).sha256 not in (plain.sha256, changed.sha256)
    assert generate(Hypernet("x", 0)).sha256 == generate().sha256 == plain.sha256
    assert changed.facts["hypernet x"].startswith(changed.facts["hypernet"])
    with pytest.raises(ModelError, match="wide does not fit random: it is for widths 7"):
        generate(Hypernet("wide"))
    assert generate().sha256 == plain.sha256


def test_every_attention_of_its_width_is_changed(random_models: Path, tmp_path: Path) -> None:
    write(tmp_path / "x.pt", [WIDTH])
    pipe = create_generator(ModelRegistry([random_models]).get_model).load("random", print).pipe
    hooked = [
        name
        for name, layer in pipe.unet.named_modules()
        if name.endswith(("to_k", "to_v")) and layer.in_features == WIDTH
    ]
    assert {name.split(".")[-2] for name in hooked} == {"attn1", "attn2"}
    with use_hypernetworks(pipe, [(open_hypernetwork("x", tmp_path / "x.pt"), 1.0)], "random"):
        count = sum(len(layer._forward_pre_hooks) for layer in pipe.unet.modules())
        assert count == len(hooked)
    assert not any(layer._forward_pre_hooks for layer in pipe.unet.modules())
