"""VAEs and upscalers by name: in hub caches, behind dangling links, and files of another kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.upscalers import architecture_of
from dream.catalogue.vaes import check_vae
from dream.core.errors import ModelError
from tests.catalogue.test_detect import VAE, write


def add_config(folder: Path, **config: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_hub_cache_has_vaes_and_upscalers(tmp_path: Path) -> None:
    repos = {name: tmp_path / f"models--some--{name}" / "snapshots" / "c" for name in "vua"}
    add_config(repos["v"], _class_name="AutoencoderKL")
    add_config(repos["a"], model_type="clip")
    repos["u"].mkdir(parents=True)
    (repos["u"] / "model_index.json").write_text(
        json.dumps({"_class_name": "StableDiffusionUpscalePipeline"})
    )
    (repos["a"] / "RealESRGAN_x4.pth").write_bytes(b"")
    registry = ModelRegistry((tmp_path,))
    assert registry.list_vaes() == ("v",)
    check_vae(registry.get_vae("v"))
    assert registry.get_upscaler("u").diffusion
    assert "RealESRGAN_x4" in {row.name for row in registry.list_upscalers()}
    assert architecture_of(registry.get_upscaler("u")) == "diffusion"


@pytest.mark.parametrize("place", ["VAE", "vae", "upscalers", "models/VAE"])
def test_dangling_links_are_listed_wherever_they_are(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "gone.pt").symlink_to(tmp_path / "nowhere.pt")
    (warning,) = ModelRegistry((tmp_path,)).check_models()
    assert "gone.pt is a link to" in warning and "does not exist" in warning


def test_what_is_not_a_vae_is_named(tmp_path: Path) -> None:
    write(tmp_path / "soft.safetensors", VAE)
    write(tmp_path / "style.safetensors", {"lora_unet_x.lora_down.weight": (4, 8)})
    check_vae(tmp_path / "soft.safetensors")
    with pytest.raises(ModelError, match=r"style\.safetensors is not a VAE, but a LoRA"):
        check_vae(tmp_path / "style.safetensors")
    check_vae(add_config(tmp_path / "good", _class_name="AutoencoderTiny"))
    for folder in (add_config(tmp_path / "clip", model_type="clip"), tmp_path):
        with pytest.raises(ModelError, match="is not a VAE in diffusers layout"):
            check_vae(folder)
