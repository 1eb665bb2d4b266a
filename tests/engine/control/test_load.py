"""Control models in every form that people have load as the module they were saved from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.control_info import ControlInfo, read_control_info
from dream.core.errors import ModelError
from dream.engine.control.load import list_control_files, load_control
from dream.engine.memory.device import Placement
from tests.random_controls import original_controlnet, random_controlnet

CPU = Placement("cpu", "float32", "")
Outputs = tuple[torch.Tensor, ...]


def controlnet_outputs(model: Any, **extra: Any) -> Outputs:
    """What a ControlNet adds to the UNet, for one input."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    sdxl = model.config.addition_embed_type == "text_time"
    sizes = {"text_embeds": draw(2, 1280), "time_ids": draw(2, 6)} if sdxl else None
    pixels = 8 * 2 ** (len(model.config.conditioning_embedding_out_channels) - 1)
    with torch.no_grad():
        down, mid = model(
            draw(2, 4, 8, 8),
            torch.tensor(500),
            draw(2, 7, model.config.cross_attention_dim),
            draw(2, 3, pixels, pixels),
            added_cond_kwargs=sizes,
            return_dict=False,
            **extra,
        )
    return (*down, mid)


def assert_equal(one: Outputs, other: Outputs) -> None:
    assert len(one) == len(other)
    assert all(map(torch.equal, one, other))


@pytest.fixture(scope="module")
def nets() -> dict[str, Any]:
    return {family: random_controlnet(family) for family in ("sd1", "sd2", "sdxl")}


def write_folder(model: Any, path: Path) -> Path:
    model.save_pretrained(path)
    return path


def write_bin_folder(model: Any, path: Path) -> Path:
    model.save_pretrained(path, safe_serialization=False)
    return path


def write_diffusers(model: Any, path: Path) -> Path:
    save_file(
        {n: t.contiguous() for n, t in model.state_dict().items()}, path.with_suffix(".safetensors")
    )
    return path.with_suffix(".safetensors")


def write_original(model: Any, path: Path) -> Path:
    save_file(original_controlnet(model), path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def write_without_prefix(model: Any, path: Path) -> Path:
    save_file(original_controlnet(model, ""), path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def write_pickle(model: Any, path: Path) -> Path:
    torch.save({"state_dict": original_controlnet(model)}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def write_in_whole_model(model: Any, path: Path) -> Path:
    """As `control_sd15_canny.pth` has the model that it was trained on."""
    others = ("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x")
    others = (*others, "cond_stage_model.transformer.text_model.y")
    whole = {**original_controlnet(model), **{name: torch.zeros(3) for name in others}}
    torch.save(whole, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


Write = Callable[[Any, Path], Path]
WRITERS: tuple[Write, ...] = (
    *(write_folder, write_bin_folder, write_diffusers, write_original, write_without_prefix),
    *(write_pickle, write_in_whole_model),
)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_form_gives_the_same_outputs(
    nets: dict[str, Any], family: str, write: Write, tmp_path: Path
) -> None:
    net = nets[family]
    info = read_control_info("x", write(net, tmp_path / "control_canny"))
    assert (info.kind, info.family, info.controls) == ("controlnet", family, ("canny",))
    loaded = load_control(info, CPU)
    assert_equal(controlnet_outputs(loaded), controlnet_outputs(net))
    assert all(path.is_file() for path in list_control_files(info))


def test_half_precision_is_rounded_once(nets: dict[str, Any], tmp_path: Path) -> None:
    half = {name: t.half() for name, t in original_controlnet(nets["sd1"]).items()}
    save_file(half, tmp_path / "canny.safetensors")
    loaded = load_control(read_control_info("x", tmp_path / "canny.safetensors"), CPU)
    assert_equal(controlnet_outputs(loaded), controlnet_outputs(nets["sd1"].half().float()))
    nets["sd1"] = random_controlnet("sd1")


@pytest.mark.parametrize(
    "config",
    [
        {"down_block_types": ("DownBlock2D", "DownBlock2D"), "mid_block_type": "UNetMidBlock2D"},
        {"transformer_layers_per_block": (1, 3), "layers_per_block": 2},
        {"conditioning_channels": 1, "block_out_channels": (32, 32, 64), "down_block_types": (
            "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"
        ), "attention_head_dim": (1, 1, 1), "transformer_layers_per_block": (1, 1, 1)},
    ],
)  # fmt: skip
def test_the_architecture_is_that_of_the_shapes(config: dict[str, Any], tmp_path: Path) -> None:
    net = random_controlnet("sdxl", **config)
    loaded = load_control(read_control_info("x", write_diffusers(net, tmp_path / "x")), CPU)
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert all(loaded.config[key] == net.config[key] for key in ("mid_block_type", "in_channels"))


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> ControlInfo:
    tensors = original_controlnet(random_controlnet("sd1"))
    change(tensors)
    save_file(tensors, path)
    return read_control_info("x", path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("control_model.zero_convs.1.0.weight"),
            "missing controlnet_down_blocks.1",
        ),
        (lambda t: t.update({"control_model.extra": torch.zeros(2)}), "does not use its extra"),
        (lambda t: t.pop("control_model.input_hint_block.0.weight"), "missing controlnet_cond"),
        (lambda t: t.pop("control_model.input_blocks.1.0.in_layers.2.weight"), "missing down_bl"),
        (
            lambda t: t.update({"control_model.zero_convs.0.0.weight": torch.zeros(7, 7, 1, 1)}),
            "has shape 7 x 7 x 1 x 1",
        ),
        (
            lambda t: t.update({"control_model.input_hint_block.0.weight": torch.zeros(3)}),
            "architecture is not supported",
        ),
    ],
)
def test_a_file_that_lacks_or_exceeds_is_refused(
    change: Callable[[dict[str, torch.Tensor]], object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        load_control(rewrite(tmp_path / "x.safetensors", change), CPU)


@pytest.mark.parametrize(
    "config", ["", "[1]", "{", '{"_class_name": "os"}', '{"_class_name": "ControlNetModel"}']
)
def test_a_folder_with_a_broken_configuration_is_refused(config: str, tmp_path: Path) -> None:
    folder = write_folder(random_controlnet("sd1"), tmp_path / "canny")
    info = read_control_info("canny", folder)
    (folder / "config.json").write_text(config)
    with pytest.raises(ModelError, match="canny"):
        load_control(info, CPU)


@pytest.mark.parametrize("value", [-1, [], "x", None, {"a": 1}])
def test_a_configuration_of_nonsense_is_refused(value: Any, tmp_path: Path) -> None:
    folder = write_folder(random_controlnet("sd1"), tmp_path / "canny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "block_out_channels": value}))
    with pytest.raises(ModelError, match="canny"):
        load_control(read_control_info("canny", folder), CPU)
