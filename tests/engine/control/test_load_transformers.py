"""ControlNets for Stable Diffusion 3, FLUX.1, Qwen-Image and Z-Image: a single file is the module
that it was saved from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import save_file

from dream.catalogue.control_info import find_union_mode, read_control_info
from dream.core.errors import ModelError
from dream.engine.control.load import load_control
from dream.engine.silence_libraries import silence_libraries
from tests.engine.control.test_load import CPU, write_diffusers, write_folder
from tests.random_controls import draw_weights
from tests.transformer_control_files import stability_file, xlabs_file, z_image_file

FLUX: dict[str, Any] = {
    "in_channels": 8,
    "num_layers": 2,
    "num_single_layers": 1,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 24,
    "pooled_projection_dim": 12,
    "axes_dims_rope": (4, 14, 14),
}
SD3: dict[str, Any] = {
    "sample_size": 128,
    "num_layers": 2,
    "attention_head_dim": 64,
    "num_attention_heads": 1,
    "joint_attention_dim": 24,
    "caption_projection_dim": 64,
    "pooled_projection_dim": 12,
    "pos_embed_max_size": 12,
}
SD35 = {**SD3, "qk_norm": "rms_norm", "dual_attention_layers": (1,)}
QWEN: dict[str, Any] = {
    "in_channels": 8,
    "num_layers": 2,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 24,
    "axes_dims_rope": (4, 14, 14),
}
Z_IMAGE: dict[str, Any] = {
    "control_layers_places": [0, 15],
    "control_in_dim": 4,
    "dim": 64,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
}
PRO = ("canny", "softedge", "depth", "pose")
NUMBERED = ("canny", "tile", "depth", "pose")


def random_net(kind: str, config: dict[str, Any]) -> Any:
    with silence_libraries():
        return draw_weights(getattr(diffusers, kind)(**config), seed=4).eval()


@pytest.mark.parametrize("write", [write_folder, write_diffusers])
@pytest.mark.parametrize(
    ("kind", "config", "family", "controls"),
    [
        ("FluxControlNetModel", FLUX, "flux", PRO),
        ("FluxControlNetModel", {**FLUX, "num_mode": 5}, "flux", NUMBERED),
        ("FluxControlNetModel", {**FLUX, "guidance_embeds": True}, "flux", None),
        ("SD3ControlNetModel", {**SD3, "extra_conditioning_channels": 1}, "sd3", ()),
        ("SD3ControlNetModel", SD35, "sd3", ()),
        ("QwenImageControlNetModel", {**QWEN, "extra_condition_channels": 4}, "qwen-image", None),
        ("ZImageControlNetModel", Z_IMAGE, "z-image", None),
    ],
)
def test_a_controlnet_of_a_transformer_is_what_was_saved(
    kind: str, config: dict[str, Any], family: str, controls: Any, write: Any, tmp_path: Path
) -> None:
    net = random_net(kind, config)
    info = read_control_info("x", write(net, tmp_path / "Some-Union-Pro"))
    assert info.family == family
    assert controls is None or info.controls == controls
    assert (info.kind == "controlnet union") == ("num_mode" in config)
    loaded: Any = load_control(info, CPU)
    assert type(loaded) is type(net)
    own = net.state_dict()
    assert loaded.state_dict().keys() == own.keys()
    assert all(torch.equal(loaded.state_dict()[name], own[name]) for name in own)
    same = ("attention_head_dim", "num_attention_heads", "axes_dims_rope", "control_layers_places")
    for key in same:
        assert list_of(loaded.config.get(key)) == list_of(net.config.get(key)), key
    assert find_union_mode(info, "depth") == (2 if "num_mode" in config else None)


def list_of(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def write_file(tensors: dict[str, torch.Tensor], path: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


XLABS: dict[str, Any] = {
    **FLUX,
    "in_channels": 16,
    "num_single_layers": 0,
    "guidance_embeds": True,
    "conditioning_embedding_channels": 4,
    "patch_size": 2,
}
LARGE: dict[str, Any] = {
    **SD3,
    "in_channels": 4,
    "out_channels": 4,
    **dict.fromkeys(("joint_attention_dim", "caption_projection_dim", "pos_embed_max_size")),
    "pos_embed_type": None,
    "use_pos_embed": False,
    "force_zeros_for_pooled_projection": False,
}
SECOND: dict[str, Any] = {
    **Z_IMAGE,
    "control_in_dim": 33,
    "n_refiner_layers": 2,
    "control_refiner_layers_places": [0, 1],
}


@pytest.mark.parametrize(
    ("kind", "config", "family", "name", "store"),
    [
        ("FluxControlNetModel", XLABS, "flux", "flux-canny-controlnet-v3", xlabs_file),
        ("FluxControlNetModel", XLABS, "flux", "flux-canny-diffusers", None),
        ("SD3ControlNetModel", LARGE, "sd3", "sd3.5_large_controlnet_canny", stability_file),
        ("SD3ControlNetModel", LARGE, "sd3", "sd3.5-canny-diffusers", None),
        *(
            (
                "ZImageControlNetModel",
                {**SECOND, "add_control_noise_refiner": refiner},
                "z-image",
                f"Z-Image-Turbo-Fun-Controlnet-Union-{version}",
                z_image_file,
            )
            for refiner, version in (("control_layers", 2.0), ("control_noise_refiner", 2.1))
        ),
    ],
)
def test_a_file_of_those_who_trained_it_is_the_same_controlnet(
    kind: str, config: dict[str, Any], family: str, name: str, store: Any, tmp_path: Path
) -> None:
    net = random_net(kind, config)
    tensors = net.state_dict() if store is None else store(net)
    info = read_control_info(name, write_file(tensors, tmp_path / f"{name}.safetensors"))
    assert (info.kind, info.family) == ("controlnet", family)
    assert "canny" in info.controls
    loaded: Any = load_control(info, CPU)
    assert type(loaded) is type(net)
    own = net.state_dict()
    assert loaded.state_dict().keys() == own.keys()
    assert all(torch.equal(loaded.state_dict()[key], own[key]) for key in own)
    for key in set(config) - {"sample_size", "axes_dims_rope"}:
        assert list_of(loaded.config[key]) == list_of(net.config[key]), key


def test_the_layers_of_a_z_image_file_are_spread_over_those_of_the_model(tmp_path: Path) -> None:
    net = random_net("ZImageControlNetModel", Z_IMAGE)
    info = read_control_info("x", write_file(z_image_file(net), tmp_path / "x.safetensors"))
    model = SimpleNamespace(config={"n_layers": 5})
    loaded: Any = load_control(info, CPU, model)
    assert loaded.config.control_layers_places == [0, 2]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"double_blocks.0.img_attn.proj.weight": (8, 8)}, "missing x_embedder.weight"),
        ({"pos_embed_input.proj.bias": (8,)}, "missing pos_embed_input.proj.weight"),
        ({"controlnet_x_embedder.weight": (8, 8)}, "missing x_embedder.weight"),
        ({"control_layers.0.x": (8, 8)}, "missing control_all_x_embedder.2-1.weight"),
    ],
)
def test_an_incomplete_file_is_refused(
    tensors: dict[str, tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    shapes = {"controlnet_blocks.0.weight": (8, 8), **tensors}
    save_file({n: torch.zeros(shape) for n, shape in shapes.items()}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError) as caught:
        load_control(read_control_info("x", tmp_path / "x.safetensors"), CPU)
    assert message in str(caught.value)
