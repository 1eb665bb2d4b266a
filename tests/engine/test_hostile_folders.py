"""Folders of Kolors and of SDNQ whose files are damaged or say strange things: each is refused in
a sentence, or opens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.core.errors import DreamError
from dream.engine import create_generator
from dream.engine.interface import DeviceConfig
from tests.engine.test_kolors import write_kolors
from tests.engine.test_quantized_folders import make_folder

Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "noise": lambda data: bytes((byte * 167 + 13) % 256 for byte in data[:4096]),
    "a list": lambda data: b"[1, 2, 3]",
    "deep": lambda data: b"[" * 20_000,
}
STRANGE: dict[str, object] = {
    "a number": 7,
    "huge": 10**12,
    "negative": -1,
    "nothing": None,
    "a word": "../../../etc/passwd",
    "a list": [[]],
}


def set_value(file: Path, key: str, value: object) -> None:
    settings = json.loads(file.read_text())
    *path, last = key.split(".")
    at = settings
    for name in path:
        at = at[name]
    at[last] = value
    file.write_text(json.dumps(settings))


def open_folder(models: Path) -> None:
    """Load the only model of the folder; a refusal is fine."""
    generator = create_generator(
        ModelRegistry([models]).get_model, DeviceConfig(device="cpu", precision="float32")
    )
    try:
        generator.load("kept", lambda message: None)
    except DreamError as error:
        assert "Traceback" not in str(error)
        assert len(str(error)) < 500


@pytest.fixture(scope="module")
def kolors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kolors")
    write_kolors(folder / "kept", tmp_path_factory.mktemp("parts"))
    return folder


@pytest.fixture(scope="module")
def sdnq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdnq")
    make_folder(folder / "kept", weights_dtype="int8")
    return folder


def copy_of(models: Path, to: Path) -> Path:
    shutil.copytree(models / "kept", to / "kept")
    return to / "kept"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name",
    [
        "tokenizer/tokenizer.model",
        "tokenizer/tokenizer_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "model_index.json",
    ],
)
def test_a_damaged_kolors(kolors: Path, tmp_path: Path, name: str, damage: str) -> None:
    file = copy_of(kolors, tmp_path) / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    open_folder(tmp_path)


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize(
    "key",
    [
        "text_encoder/config.json:num_layers",
        "text_encoder/config.json:hidden_size",
        "text_encoder/config.json:auto_map",
        "text_encoder/config.json:pre_seq_len",
        "tokenizer/tokenizer_config.json:tokenizer_class",
        "tokenizer/tokenizer_config.json:model_max_length",
        "tokenizer/tokenizer_config.json:auto_map",
        "unet/config.json:encoder_hid_dim",
    ],
)
def test_a_kolors_with_strange_settings(
    kolors: Path, tmp_path: Path, key: str, strange: str
) -> None:
    name, _, key = key.partition(":")
    set_value(copy_of(kolors, tmp_path) / name, key, STRANGE[strange])
    open_folder(tmp_path)


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize(
    "key",
    [
        "quant_method",
        "weights_dtype",
        "group_size",
        "modules_to_not_convert",
        "modules_dtype_dict",
        "minimum_allowed_numel",
        "",
    ],
)
def test_a_folder_of_sdnq_with_strange_settings(
    sdnq: Path, tmp_path: Path, key: str, strange: str
) -> None:
    folder = copy_of(sdnq, tmp_path)
    whole = "quantization_config" + ("." if key else "") + key
    set_value(folder / "transformer" / "config.json", whole, STRANGE[strange])
    open_folder(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_of_sdnq(sdnq: Path, tmp_path: Path, damage: str) -> None:
    file = next((copy_of(sdnq, tmp_path) / "transformer").glob("*.safetensors"))
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    open_folder(tmp_path)
