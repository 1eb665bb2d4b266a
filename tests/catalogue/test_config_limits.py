"""Configurations that would be built until memory runs out."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import diffusers
import pytest
import transformers

from dream.catalogue.config_limits import refuse_huge_settings
from dream.core.errors import ModelError

DENOISERS = tuple(
    getattr(diffusers, name)
    for name in dir(diffusers)
    if name.endswith(("Transformer2DModel", "UNet2DConditionModel", "ControlNetModel"))
)
VAES = (diffusers.AutoencoderKL, diffusers.AutoencoderKLQwenImage, diffusers.AutoencoderTiny)
TRANSFORMERS = (
    *("clip", "t5", "umt5", "gemma2", "qwen2", "qwen2_5_vl", "qwen3", "qwen3_vl", "llama"),
    *("mistral3", "siglip", "dpt", "depth_anything", "clipseg", "segformer", "oneformer"),
)


def write(folder: Path, settings: object, name: str = "unet/config.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    ("name", "settings", "setting"),
    [
        ("text_encoder/config.json", {"num_hidden_layers": 10**12}, "num_hidden_layers"),
        ("unet/config.json", {"transformer_layers_per_block": [1, [2, 10**6]]}, "transformer_"),
        ("config.json", {"vision_config": {"depth": 2000}}, "depth"),
        ("config.json", {"num_labels": 1e9}, "num_labels"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**9}, "num_train_timesteps"),
        ("transformer/config.json", {"sample_size": 10**5}, "sample_size"),
        ("transformer/config.json", {"axes_lens": [10**7]}, "axes_lens"),
        ("config.json", {"num_layers": int("9" * 4000)}, "num_layers"),
    ],
)
def test_more_than_any_model_has(tmp_path: Path, name: str, settings: object, setting: str) -> None:
    with pytest.raises(ModelError, match=setting) as caught:
        refuse_huge_settings(write(tmp_path, settings, name))
    assert name in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 80, "max_position_embeddings": 1_010_000, "rope_theta": 1e9},
        {"vocab_size": 262_144, "eos_token_id": 10**7, "num_labels": 21_843},
        {"model_max_length": 1000000000000000019884624838656},
        {"scaling_factor": 1e12, "layers_per_block": True, "depth": None},
        {"block_out_channels": [320, 640, 1280, 1280], "decoder_block_out_channels": 2048},
        [1, 2, 3],
    ],
)
def test_what_real_models_have(tmp_path: Path, settings: object) -> None:
    refuse_huge_settings(write(tmp_path, settings))


def test_a_configuration_that_cannot_be_parsed(tmp_path: Path) -> None:
    write(tmp_path, {})
    (tmp_path / "unet" / "config.json").write_text("[" * 30_000)
    with pytest.raises(ModelError, match="cannot be read"):
        refuse_huge_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": {str(n): {} for n in range(20_001)}}),
        ("tokenizer_config.json", {"additional_special_tokens": ["<a>"] * 20_001}),
        ("special_tokens_map.json", {"additional_special_tokens": ["<a>"] * 20_001}),
        ("added_tokens.json", {f"<{n}>": n for n in range(20_001)}),
    ],
)
def test_more_tokens_than_any_model_adds(tmp_path: Path, name: str, settings: object) -> None:
    with pytest.raises(ModelError, match=f"{name} adds more than 20,000 tokens"):
        refuse_huge_settings(write(tmp_path, settings, f"tokenizer/{name}"))


@pytest.mark.parametrize("name", ["tokenizer/tokenizer_config.json", "unet/config.json"])
def test_a_configuration_of_megabytes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="is larger than 4 MiB"):
        refuse_huge_settings(write(tmp_path, {"chat_template": "x" * (4 << 20)}, name))


def test_a_tokenizer_of_thousands_of_tokens(tmp_path: Path) -> None:
    """Gemma 3's has a million bytes."""
    tokens = {str(n): {"content": f"<unused{n}>", "rstrip": "x" * 150} for n in range(6242)}
    settings = {"added_tokens_decoder": tokens}
    refuse_huge_settings(write(tmp_path, settings, "tokenizer/tokenizer_config.json"))


def test_a_number_of_thousands_of_digits(tmp_path: Path) -> None:
    write(tmp_path, {}, "tokenizer_config.json")
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1%s}' % ("0" * 5000))
    with pytest.raises(ModelError, match=r"tokenizer_config\.json cannot be read"):
        refuse_huge_settings(tmp_path)


def test_what_the_libraries_take_without_settings(tmp_path: Path) -> None:
    """Here a setting is found whose name has another's words, such as `block_out_channels`."""
    for kind in (*DENOISERS, *VAES):
        parameters = inspect.signature(kind).parameters.values()
        settings = {p.name: p.default for p in parameters if p.default is not p.empty}
        refuse_huge_settings(write(tmp_path, settings))
    for name in TRANSFORMERS:
        settings = transformers.AutoConfig.for_model(name).to_dict()
        refuse_huge_settings(write(tmp_path, settings, "text_encoder/config.json"))


def test_the_included_model() -> None:
    refuse_huge_settings(Path("models/tiny"))
