"""Control models are found wherever people's programs keep them, by kind, family and name, from
their headers alone."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path

import pytest

from dream.catalogue.control_files import find_control, get_control, list_controls
from dream.catalogue.control_info import ControlInfo
from dream.catalogue.detect import detect
from dream.catalogue.detect.unet_header import UNetWidths
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.unet_widths import read_unet_widths
from dream.core.errors import ModelError

Shapes = dict[str, tuple[int, ...]]

TEXT = "{}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
BLOCKS = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
HINT = "controlnet_cond_embedding.conv_in.weight"
SD1: Shapes = {"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}
SD1[TEXT.format("control_model.")] = (320, 768)
SD21: Shapes = {"input_hint_block.0.weight": (16, 3, 3, 3), TEXT.format(""): (320, 1024)}
SDXL: Shapes = {HINT: (16, 3, 3, 3), BLOCKS: (640, 2048)}
SMALL: Shapes = {HINT: (16, 3, 3, 3), "add_embedding.linear_1.weight": (1280, 2816)}
UNION: Shapes = {**SDXL, "task_embedding": (6, 320), "control_add_embedding.linear_1.weight": (8,)}
PROMAX: Shapes = {**UNION, "task_embedding": (8, 320)}
LORA: Shapes = {"lora_controlnet": (), "input_hint_block.0.weight": (16, 3, 3, 3)}
LORA["input_blocks.4.1.transformer_blocks.0.attn2.to_k.down"] = (128, 2048)
T2I: Shapes = {"conv_in.weight": (320, 192, 3, 3), "body.0.block1.weight": (320, 320, 3, 3)}
T2I_XL: Shapes = {"adapter.conv_in.weight": (320, 768, 3, 3)}
T2I_XL["adapter.body.0.resnets.0.block1.weight"] = (320, 320, 3, 3)
LIGHT: Shapes = {"body.0.in_conv.weight": (80, 192, 1, 1)}
LIGHT["body.0.body.0.block1.weight"] = (80, 80, 3, 3)
LIGHT["body.0.out_conv.weight"] = (320, 80, 1, 1)
SD3: Shapes = {
    "controlnet_blocks.0.weight": (8, 8),
    "pos_embed_input.proj.weight": (1536, 16, 2, 2),
    "transformer_blocks.0.attn.add_q_proj.weight": (8, 8),
}
SD35: Shapes = {
    "controlnet_blocks.0.weight": (8, 8),
    "transformer_blocks.0.adaLN_modulation.1.weight": (8, 8),
}
FLUX: Shapes = {
    "controlnet_x_embedder.weight": (3072, 64),
    "transformer_blocks.0.attn.add_q_proj.weight": (8, 8),
    "single_transformer_blocks.0.attn.to_q.weight": (8, 8),
}
FLUX_UNION: Shapes = {**FLUX, "controlnet_mode_embedder.weight": (10, 3072)}
XLABS: Shapes = {
    "controlnet_blocks.0.weight": (8, 8),
    "double_blocks.0.img_attn.qkv.weight": (8, 8),
    "input_hint_block.0.weight": (16, 3, 3, 3),
}
QWEN: Shapes = {
    "controlnet_blocks.0.weight": (8, 8),
    "controlnet_x_embedder.weight": (3072, 64),
    "transformer_blocks.0.img_mod.1.weight": (8, 8),
    "txt_norm.weight": (8,),
}
DIFFSYNTH: Shapes = {
    "img_in.weight": (3072, 64),
    "controlnet_blocks.0.x_rms.weight": (3072,),
    "controlnet_blocks.0.y_rms.weight": (3072,),
}
Z_IMAGE: Shapes = {
    "control_layers.0.attention.to_q.weight": (8, 8),
    "control_all_x_embedder.2-1.weight": (8, 8),
}
IP_PLUS: Shapes = {"image_proj.latents": (1, 16, 768), "ip_adapter.1.to_k_ip.weight": (320, 768)}

FILES = [
    (SD1, "controlnet", "sd1"),
    (SD21, "controlnet", "sd2"),
    (SDXL, "controlnet", "sdxl"),
    (SMALL, "controlnet", "sdxl"),
    (UNION, "controlnet union", "sdxl"),
    (LORA, "control-lora", "sdxl"),
    (T2I, "t2i-adapter", "sd1"),
    (T2I_XL, "t2i-adapter", "sdxl"),
    (LIGHT, "t2i-adapter", "sd1"),
    (SD3, "controlnet", "sd3"),
    (SD35, "controlnet", "sd3"),
    (FLUX, "controlnet", "flux"),
    (FLUX_UNION, "controlnet union", "flux"),
    (XLABS, "controlnet", "flux"),
    (QWEN, "controlnet", "qwen-image"),
    (DIFFSYNTH, "controlnet", "qwen-image"),
    (Z_IMAGE, "controlnet", "z-image"),
    (IP_PLUS, "ip-adapter", "sd1"),
]


def write(path: Path, shapes: Shapes, **metadata: str) -> Path:
    """A safetensors file of which only the header is there; the weights are a hole."""
    end, rows = 0, {}
    for name, shape in shapes.items():
        rows[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + 2 * prod(shape)]}
        end += 2 * prod(shape)
    text = json.dumps({"__metadata__": metadata, **rows}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def write_folder(folder: Path, kind: str = "ControlNetModel", **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"_class_name": kind, **config}))
    return folder


@pytest.mark.parametrize(("shapes", "kind", "family"), FILES)
def test_kind_and_family_are_in_the_header(
    tmp_path: Path, shapes: Shapes, kind: str, family: str
) -> None:
    detected = detect(write(tmp_path / "x.safetensors", shapes))
    assert (detected.kind, detected.family, detected.refused) == (kind, family, False)


PLACES = [
    "controlnet/x.safetensors",
    "ControlNet/sdxl/x.safetensors",
    "models/controlnet/x.safetensors",  # ComfyUI
    "models/t2i_adapter/x.safetensors",
    "models/model_patches/x.safetensors",
    "models/ControlNet/x.safetensors",  # the web UIs
    "extensions/sd-webui-controlnet/models/x.safetensors",
    "Models/controlnet/x.safetensors",  # SwarmUI
    "models/sd-1/controlnet/x.safetensors",  # InvokeAI
    "x.safetensors",
]


@pytest.mark.parametrize("place", PLACES)
def test_files_are_found_in_every_layout(tmp_path: Path, place: str) -> None:
    path = write(tmp_path / place, SD1)
    assert get_control("X", [tmp_path]).path.samefile(path)
    assert [info.path for info in list_controls([tmp_path])] == [get_control("x", [tmp_path]).path]


@pytest.mark.parametrize(
    "place",
    [
        "controlnet/canny",
        "models/sdxl/controlnet/canny",
        "canny",
        "models--xinsir--canny/snapshots/0123",
    ],
)
def test_folders_are_found_in_every_layout(tmp_path: Path, place: str) -> None:
    folder = write_folder(tmp_path / place, cross_attention_dim=2048)
    write(folder / "diffusion_pytorch_model.fp16.safetensors", SDXL)
    (info,) = list_controls([tmp_path])
    assert isinstance(info, ControlInfo)
    assert (info.name, info.path, info.family) == ("canny", folder, "sdxl")


@pytest.mark.parametrize(
    ("config", "kind", "family"),
    [
        ({"kind": "ControlNetUnionModel", "num_control_type": 8}, "controlnet union", "sdxl"),
        ({"kind": "T2IAdapter", "adapter_type": "full_adapter_xl"}, "t2i-adapter", "sdxl"),
        ({"kind": "T2IAdapter", "adapter_type": "light_adapter"}, "t2i-adapter", "sd1"),
        ({"kind": "FluxControlNetModel", "num_mode": 10}, "controlnet union", "flux"),
        ({"kind": "FluxControlNetModel", "num_mode": None}, "controlnet", "flux"),
        ({"kind": "ControlNetModel", "cross_attention_dim": [1]}, "controlnet", ""),
    ],
)
def test_a_folder_says_what_it_is(
    tmp_path: Path, config: dict[str, str], kind: str, family: str
) -> None:
    write_folder(tmp_path / "controlnet" / "it", **config)
    info = get_control("it", [tmp_path])
    assert (info.kind, info.family, info.form) == (kind, family, "folder")


@pytest.mark.parametrize(
    ("name", "controls"),
    [
        ("control_v11p_sd15_canny_fp16", ("canny",)),
        ("control_v11f1e_sd15_tile", ("tile",)),
        ("control_v11p_sd15s2_lineart_anime", ("lineart",)),
        ("control_v11p_sd15_seg", ("seg",)),
        ("control_sd15_hed", ("softedge",)),
        ("OpenPoseXL2", ("pose",)),
        ("t2iadapter_keypose_sd14v1", ("pose",)),
        ("sai_xl_depth_256lora", ("depth",)),
        ("control_v1p_sd15_qrcode_monster_v2", ("qr",)),
        ("diffusers_xl_canny_full", ("canny",)),
        ("control_v11p_sd15_inpaint", ("inpaint",)),
        ("control_v11p_sd15_softedge", ("softedge",)),
        ("control_v11p_sd15_normalbae", ("normal",)),
        ("control_v11e_sd15_shuffle", ()),
        ("segment-of-nothing", ()),
    ],
)
def test_what_a_model_is_for_is_in_its_name(
    tmp_path: Path, name: str, controls: tuple[str, ...]
) -> None:
    write(tmp_path / "controlnet" / f"{name}.safetensors", SD1)
    assert get_control(name, [tmp_path]).controls == controls


def test_a_title_in_the_metadata_says_it_too(tmp_path: Path) -> None:
    meta = {"modelspec.title": "Depth for XL"}
    write(tmp_path / "controlnet" / "diffusion_pytorch_model.safetensors", SDXL, **meta)
    assert find_control("depth", "sdxl", None, [tmp_path]).name == "diffusion_pytorch_model"


def test_unions_are_for_many_kinds(tmp_path: Path) -> None:
    write(tmp_path / "controlnet" / "union.safetensors", UNION)
    write(tmp_path / "controlnet" / "union_promax.safetensors", PROMAX)
    write(tmp_path / "controlnet" / "Qwen-Image-InstantX-ControlNet-Union.safetensors", QWEN)
    assert find_control("canny", "sdxl", None, [tmp_path]).name == "union"
    assert find_control("tile", "sdxl", None, [tmp_path]).name == "union_promax"
    assert "softedge" in find_control("depth", "qwen-image", None, [tmp_path]).controls


def test_the_most_specific_model_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "controlnet"
    write(folder / "t2iadapter_canny.safetensors", T2I)
    assert find_control("canny", "sd1", None, [tmp_path]).kind == "t2i-adapter"
    write(folder / "control_sd15_canny.safetensors", SD1)
    assert find_control("canny", "sd1", None, [tmp_path]).name == "control_sd15_canny"
    write(folder / "control_v11p_sd15_canny_fp16.safetensors", SD1)
    assert find_control("canny", "sd1", None, [tmp_path]).name == "control_v11p_sd15_canny_fp16"
    write(folder / "sdxl_canny.safetensors", SDXL)
    assert find_control("canny", "sdxl", None, [tmp_path]).name == "sdxl_canny"
    assert find_control("pose", "sd1", "control_sd15_canny", [tmp_path]).controls == ("canny",)


def test_an_error_names_what_there_is_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "controlnet"
    with pytest.raises(ModelError, match=r"no control model for pose and Stable.*put one for pose"):
        find_control("pose", "sd1", None, [tmp_path])
    write(folder / "sdxl_canny.safetensors", SDXL)
    with pytest.raises(ModelError, match="folders are for Stable Diffusion XL; put one for"):
        find_control("canny", "sd1", None, [tmp_path])
    write(folder / "control_sd15_canny.safetensors", SD1)
    with pytest.raises(ModelError, match=r"available: control_sd15_canny \(canny\); choose one"):
        find_control("pose", "sd1", None, [tmp_path])
    with pytest.raises(ModelError, match=r"sdxl_canny is a ControlNet for .* XL, and the model is"):
        find_control("canny", "sd1", "sdxl_canny", [tmp_path])
    with pytest.raises(ModelError, match="did you mean sdxl_canny"):
        find_control("canny", "sdxl", "sdxl_cany", [tmp_path])
    write(folder / "ip-adapter.safetensors", IP_PLUS)
    with pytest.raises(ModelError, match="is an IP-Adapter for Stable Diffusion 1, not a control"):
        find_control("canny", "sd1", "ip-adapter", [tmp_path])


def test_those_for_texts_of_another_width_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "controlnet"
    write(folder / "canny.safetensors", SD1)
    write_folder(folder / "own-canny", cross_attention_dim=128)
    assert find_control("canny", "sd1", None, [tmp_path], UNetWidths(768)).name == "canny"
    assert find_control("canny", "sd1", None, [tmp_path], UNetWidths(128)).name == "own-canny"
    write(folder / "t2iadapter_canny.safetensors", T2I)
    assert find_control("canny", "sd1", None, [tmp_path], UNetWidths(128)).name == "own-canny"
    assert find_control("canny", "sd1", None, [tmp_path]).name == "canny"
    (folder / "t2iadapter_canny.safetensors").unlink()
    with pytest.raises(ModelError, match=r"canny is a .* has a width of 768; the model's has 128"):
        find_control("canny", "sd1", "canny", [tmp_path], UNetWidths(128))
    with pytest.raises(ModelError, match=r"folders are for .* 1, models of other sizes; put one"):
        find_control("canny", "sd1", None, [tmp_path], UNetWidths(96))


ADAPTERS = {
    "tencent": T2I,
    "diffusers": {f"adapter.{name}": shape for name, shape in T2I.items()},
    "light": LIGHT,
    "xl": T2I_XL,
}


@pytest.mark.parametrize("form", [*ADAPTERS, "folder"])
def test_an_adapter_alone_of_its_kind_is_for_levels_of_its_widths(
    tmp_path: Path, form: str
) -> None:
    place = tmp_path / "controlnet" / "canny"
    if form == "folder":
        write_folder(place, "T2IAdapter", channels=[320, 640, 1280, 1280])
    else:
        write(place.with_suffix(".safetensors"), ADAPTERS[form])
    family = "sdxl" if form == "xl" else "sd1"
    full, small = UNetWidths(768, (320, 640, 1280)), UNetWidths(128, (32, 64, 128))
    for one in (family, "other"):
        assert find_control("canny", one, None, [tmp_path], full).name == "canny"
        with pytest.raises(ModelError, match="there is no control model for canny"):
            find_control("canny", one, None, [tmp_path], small)
        with pytest.raises(ModelError, match=r"have 320.* channels; the model's have 32, 64"):
            find_control("canny", one, "canny", [tmp_path], small)
    with pytest.raises(ModelError, match="is a T2I-Adapter for Stable Diffusion"):
        find_control("canny", "sd1" if form == "xl" else "sdxl", "canny", [tmp_path], full)


UNETS = {
    "folder": {},
    "model.diffusion_model.": {
        "input_blocks.1.0.in_layers.2.weight": (32, 32, 3, 3),
        "input_blocks.2.0.op.weight": (32, 32, 3, 3),
        "input_blocks.3.0.in_layers.2.weight": (64, 32, 3, 3),
        "input_blocks.10.0.in_layers.2.weight": (128, 64, 3, 3),
        "input_blocks.10.1.transformer_blocks.0.attn2.to_k.weight": (128, 96),
        "middle_block.0.in_layers.2.weight": (256, 128, 3, 3),
    },
    "diffusers": {
        "down_blocks.0.resnets.0.conv1.weight": (32, 32, 3, 3),
        "down_blocks.0.resnets.1.conv1.weight": (32, 32, 3, 3),
        "down_blocks.1.resnets.0.conv1.weight": (64, 32, 3, 3),
        "down_blocks.2.resnets.0.conv1.weight": (128, 64, 3, 3),
        "down_blocks.2.attentions.0.transformer_blocks.0.attn2.to_k.weight": (128, 96),
    },
}


@pytest.mark.parametrize("form", UNETS)
def test_a_unets_widths_are_read_from_its_folder_and_its_file(tmp_path: Path, form: str) -> None:
    if form == "folder":
        channels = {"block_out_channels": [32, 64, 128, 128], "cross_attention_dim": 96}
        write_folder(tmp_path / "m" / "unet", "UNet2DConditionModel", **channels)
        path = tmp_path / "m"
    else:
        prefix = form if form.endswith(".") else ""
        path = write(
            tmp_path / "m.safetensors", {prefix + name: of for name, of in UNETS[form].items()}
        )
    info = ModelInfo(name="m", path=path, family="sd1")
    assert read_unet_widths(info) == UNetWidths(96, (32, 64, 128))


def test_broken_files_are_named_and_the_others_used(tmp_path: Path) -> None:
    folder = tmp_path / "controlnet"
    write(folder / "canny.safetensors", SD1)
    torn = write(folder / "torn_canny.safetensors", SD1)
    torn.write_bytes(torn.read_bytes()[:-7])
    (folder / "junk.pth").write_bytes(b"<html>")
    write_folder(folder / "depth", kind="os.system")
    (folder / "pose").mkdir()
    (folder / "pose" / "config.json").write_bytes(b"\xff[")
    assert find_control("canny", "sd1", None, [tmp_path]).name == "canny"
    with pytest.raises(ModelError, match="is truncated"):
        get_control("torn_canny", [tmp_path])
    with pytest.raises(ModelError, match="web page"):
        get_control(str(folder / "junk.pth"), [tmp_path])
    with pytest.raises(ModelError, match="not a control model in diffusers layout"):
        get_control(str(folder / "pose"), [tmp_path])
