"""IP-Adapters and their encoders are found by what their headers say, whatever their names are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.image_encoders import find_with_encoder
from dream.catalogue.image_prompt_files import (
    choose_image_prompt_model,
    find_image_encoder,
    find_image_prompt_models,
    get_image_prompt_model,
)
from dream.core.errors import ModelError
from tests.catalogue.hub_stub import Hub, hub_at_home
from tests.catalogue.test_control_files import SD1 as CONTROLNET
from tests.catalogue.test_control_files import Shapes, write

KEYS: Shapes = {"ip_adapter.1.to_k_ip.weight": (320, 768)}
KEYS_XL: Shapes = {"ip_adapter.1.to_k_ip.weight": (640, 2048)}
PLAIN: Shapes = {**KEYS, "image_proj.proj.weight": (3072, 1024)}
PLAIN_XL: Shapes = {**KEYS_XL, "image_proj.proj.weight": (8192, 1280)}
PLUS: Shapes = {
    **KEYS,
    "image_proj.latents": (1, 16, 768),
    "image_proj.proj_in.weight": (768, 1280),
}
FULL_FACE: Shapes = {
    **KEYS,
    "image_proj.proj.0.weight": (1280, 1280),
    "image_proj.proj.3.weight": (768,),
}
FACE_ID: Shapes = {
    **KEYS,
    "image_proj.proj.0.weight": (1024, 512),
    "image_proj.proj.2.weight": (8, 8),
}
FACE_ID_PLUS: Shapes = {**KEYS, "image_proj.perceiver_resampler.proj_in.weight": (8, 8)}
FLUX: Shapes = {
    "ip_adapter_proj_model.proj.weight": (8, 768),
    "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight": (8, 8),
}
INSTANTX: Shapes = {
    "ip_adapter.0.to_k_ip.weight": (8, 4096),
    "image_proj.proj.0.weight": (8, 1152),
    "image_proj.proj.2.weight": (8, 8),
}
VIT_H: Shapes = {
    "vision_model.embeddings.class_embedding": (1280,),
    "visual_projection.weight": (1024, 1280),
}
BIG_G: Shapes = {
    "vision_model.embeddings.class_embedding": (1664,),
    "visual_projection.weight": (1280, 1664),
}


def test_an_adapter_for_flux_is_xlabs(tmp_path: Path) -> None:
    write(tmp_path / "ipadapter" / "x.safetensors", FLUX)
    model = get_image_prompt_model("x", [tmp_path])
    assert (model.family, model.variant, model.encoder_width) == ("flux", "plain", 768)
    assert not model.reads_layers


@pytest.mark.parametrize(
    ("shapes", "variant", "width", "layers"),
    [
        (PLAIN, "plain", 1024, False),
        (PLUS, "plus", 1280, True),
        (FULL_FACE, "full face", 1280, True),
    ],
)
def test_an_adapter_says_which_encoder_it_needs(
    tmp_path: Path, shapes: Shapes, variant: str, width: int, layers: bool
) -> None:
    write(tmp_path / "ipadapter" / "x.safetensors", shapes)
    model = get_image_prompt_model("x", [tmp_path])
    assert (model.family, model.variant) == ("sd1", variant)
    assert (model.encoder_width, model.reads_layers) == (width, layers)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (FACE_ID, "FaceID adapter, which needs insightface.*ip-adapter-plus-face_sd15"),
        (FACE_ID_PLUS, "FaceID adapter"),
        (INSTANTX, r"InstantX's IP-Adapter for FLUX\.1, which is not supported.*XLabs'"),
        (CONTROLNET, "is a ControlNet for Stable Diffusion 1, not an IP-Adapter"),
        ({**KEYS, "image_proj.latents": (1, 16, 768)}, r"missing image_proj\.proj_in"),
    ],
)
def test_other_kinds_are_refused_by_name(tmp_path: Path, shapes: Shapes, message: str) -> None:
    path = write(tmp_path / "x.safetensors", shapes)
    with pytest.raises(ModelError, match=message):
        get_image_prompt_model(str(path), [tmp_path])


@pytest.mark.parametrize(
    "place",
    [
        "ipadapter",
        "models/ipadapter",
        "models/ControlNet",
        "models/sd-1/ip_adapter/ip_adapter_sd15",
        "extensions/sd-webui-controlnet/models",
    ],
)
def test_adapters_are_found_in_every_layout(tmp_path: Path, place: str) -> None:
    path = write(tmp_path / place / "x.safetensors", PLAIN)
    write(tmp_path / place / "net.safetensors", CONTROLNET)
    (tmp_path / place / "torn.safetensors").write_bytes(path.read_bytes()[:-9])
    assert list(find_image_prompt_models([tmp_path])) == ["x"]


def test_the_best_adapter_is_chosen_and_faces_are_last(tmp_path: Path) -> None:
    folder = tmp_path / "ipadapter"
    with pytest.raises(ModelError, match="no IP-Adapter for Stable Diffusion 1"):
        choose_image_prompt_model("sd1", None, [tmp_path])
    write(folder / "ip-adapter_sdxl.safetensors", PLAIN_XL)
    with pytest.raises(ModelError, match="folders are for Stable Diffusion XL; put one"):
        choose_image_prompt_model("sd1", None, [tmp_path])
    write(folder / "ip-adapter-faceid_sd15.safetensors", FACE_ID)
    for name, shapes in (
        ("ip-adapter-plus-face_sd15", PLUS),
        ("ip-adapter_sd15", PLAIN),
        ("ip-adapter-plus_sd15", PLUS),
    ):
        write(folder / f"{name}.safetensors", shapes)
        assert choose_image_prompt_model("sd1", None, [tmp_path]).name == name
    chosen = choose_image_prompt_model("sd1", "ip-adapter_sd15.safetensors", [tmp_path])
    assert chosen.name == "ip-adapter_sd15"
    with pytest.raises(ModelError, match=r"is an IP-Adapter for .* XL, and the model is"):
        choose_image_prompt_model("sd1", "ip-adapter_sdxl", [tmp_path])
    with pytest.raises(ModelError, match="did you mean ip-adapter_sd15"):
        choose_image_prompt_model("sd1", "ip-adapter_sd14", [tmp_path])


def test_an_encoder_is_found_by_its_shape(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "clip_vision"
    h = write(folder / "model.safetensors", VIT_H)
    g = write(folder / "sub" / "clip_vision_g.safetensors", BIG_G)
    (folder / "broken.safetensors").write_bytes(b"<html>")
    assert find_image_encoder(1024, False, [tmp_path]) == h
    assert find_image_encoder(1280, True, [tmp_path]) == h
    assert find_image_encoder(1280, False, [tmp_path]) == g
    assert find_image_encoder(1664, True, [tmp_path]) == g
    assert find_image_encoder(768, False, [tmp_path]) is None


def test_a_missing_encoder_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "ipadapter" / "ip-adapter_sd15.safetensors", PLAIN)
    write(tmp_path / "encoder.safetensors", VIT_H)
    weights = (tmp_path / "encoder.safetensors").read_bytes()
    (tmp_path / "encoder.safetensors").unlink()
    files = {
        "models/image_encoder/model.safetensors": weights,
        "models/image_encoder/pytorch_model.bin": b"the same as a pickle",
    }
    messages: list[str] = []
    with hub_at_home(Hub("h94/IP-Adapter", files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for _ in range(2):
            _, path = find_with_encoder(
                *("ip-adapter_sd15", ModelRegistry((tmp_path,)), lambda *_: None, messages.append)
            )
    assert path == tmp_path / "clip_vision" / "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"
    assert path.read_bytes() == weights
    assert len(messages) == 1


def test_offline_it_is_refused_with_what_to_download(tmp_path: Path) -> None:
    write(tmp_path / "ipadapter" / "ip-adapter_sd15.safetensors", PLAIN)
    registry = ModelRegistry((tmp_path,), offline=True)
    with pytest.raises(ModelError, match=r"--offline is set \(download models/image_encoder/model"):
        find_with_encoder("ip-adapter_sd15", registry, lambda *_: None, print)
    other = {**KEYS, "image_proj.proj.weight": (3072, 512)}
    write(tmp_path / "ipadapter" / "other.safetensors", other)
    with pytest.raises(ModelError, match=r"512 wide, and there is none \(put it into clip_vision"):
        find_with_encoder("other", registry, lambda *_: None, print)
