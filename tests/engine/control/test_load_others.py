"""Unions, control-LoRAs and T2I-Adapters load as the module that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.control_info import find_union_mode, read_control_info
from dream.core.errors import ModelError
from dream.engine.control.load import load_control
from tests.engine.control.test_load import (
    CPU,
    assert_equal,
    controlnet_outputs,
    write_diffusers,
    write_folder,
)
from tests.random_controls import (
    as_control_lora,
    original_t2i_adapter,
    random_controlnet,
    random_t2i_adapter,
    random_unet,
    random_union,
)


@pytest.mark.parametrize("write", [write_folder, write_diffusers])
def test_a_union_is_told_the_kind_by_number(
    write: Callable[[Any, Path], Path], tmp_path: Path
) -> None:
    net = random_union()
    info = read_control_info("x", write(net, tmp_path / "xinsir"))
    assert (info.kind, info.family) == ("controlnet union", "sdxl")
    assert info.controls[:3] == ("pose", "depth", "softedge") and "tile" not in info.controls
    loaded = load_control(info, CPU)
    mode = find_union_mode(info, "canny")
    assert mode == 3

    def outputs(model: Any) -> tuple[torch.Tensor, ...]:
        types = torch.zeros(2, 6)
        types[:, mode] = 1
        generator = torch.Generator().manual_seed(2)
        sizes = {"text_embeds": torch.zeros(2, 1280), "time_ids": torch.ones(2, 6)}
        with torch.no_grad():
            down, middle = model(
                torch.randn(2, 4, 8, 8, generator=generator),
                torch.tensor(500),
                torch.randn(2, 7, 2048, generator=generator),
                [torch.randn(2, 3, 16, 16, generator=generator)],
                types,
                [mode],
                added_cond_kwargs=sizes,
                return_dict=False,
            )
        return (*down, middle)

    assert_equal(outputs(loaded), outputs(net))
    with pytest.raises(ModelError, match=r"x is not for tile \(it is for pose, depth"):
        find_union_mode(info, "tile")


def test_a_control_lora_is_the_base_model_and_its_differences(tmp_path: Path) -> None:
    net, unet = random_controlnet("sdxl"), random_unet()
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    file, whole = as_control_lora(net, unet)
    save_file(file, tmp_path / "sai_xl_canny_256lora.safetensors")
    info = read_control_info("x", tmp_path / "sai_xl_canny_256lora.safetensors")
    assert (info.kind, info.family, info.controls) == ("control-lora", "sdxl", ("canny",))
    loaded = load_control(info, CPU, unet)
    net.load_state_dict(whole)
    assert_equal(controlnet_outputs(loaded), controlnet_outputs(net))
    after = unet.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ModelError, match="needs the model that it is for"):
        load_control(info, CPU)


@pytest.mark.parametrize(
    ("leaf", "value", "message"),
    [
        ("up", torch.zeros(5, 4), "does not fit the model"),
        ("down", torch.zeros(3, 1), "does not fit the model"),
        ("down", None, "missing .*down"),
    ],
)
def test_a_control_lora_for_another_model_is_refused(
    leaf: str, value: torch.Tensor | None, message: str, tmp_path: Path
) -> None:
    unet = random_unet()
    file, _ = as_control_lora(random_controlnet("sdxl"), unet)
    name = next(name for name in file if name.endswith(leaf))
    del file[name]
    save_file({**file, **({} if value is None else {name: value})}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=message):
        load_control(read_control_info("x", tmp_path / "x.safetensors"), CPU, unet)


def write_original(model: Any, path: Path) -> Path:
    torch.save(original_t2i_adapter(model), path.with_suffix(".pth"))
    return path.with_suffix(".pth")


@pytest.mark.parametrize("write", [write_folder, write_diffusers, write_original])
@pytest.mark.parametrize(
    ("kind", "family"),
    [("full_adapter", "sd1"), ("full_adapter_xl", "sdxl"), ("light_adapter", "sd1")],
)
def test_every_form_of_t2i_adapter_gives_the_same_features(
    kind: str, family: str, write: Callable[[Any, Path], Path], tmp_path: Path
) -> None:
    adapter = random_t2i_adapter(kind)
    info = read_control_info("x", write(adapter, tmp_path / "t2iadapter_sketch_sd15v2"))
    assert (info.kind, info.family, info.controls) == ("t2i-adapter", family, ("scribble",))
    loaded: Any = load_control(info, CPU)
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_equal(tuple(loaded(image)), tuple(adapter(image)))
    assert loaded.total_downscale_factor == adapter.total_downscale_factor


def test_an_adapter_with_convolutions_to_shrink_is_refused(tmp_path: Path) -> None:
    tensors = original_t2i_adapter(random_t2i_adapter("full_adapter"))
    tensors["body.2.down_opt.op.weight"] = torch.zeros(16, 16, 3, 3)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"does not use its adapter\.body\.2\.down_opt"):
        load_control(read_control_info("x", tmp_path / "x.safetensors"), CPU)
