"""Large weights that need no change stay in their file, which is mapped into memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import linear

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.loading import split_model, weight_copy
from dream.engine.loading.encoded_tensor import EncodedTensor
from dream.engine.loading.formats.fp8_and_int8 import encode_plain
from dream.engine.loading.mmap_file import MappedFile, open_mapped
from dream.engine.loading.stored_weights import DecodedWeight
from dream.engine.loading.weight_copy import ALIGNMENT, can_stay_mapped, load_weights
from dream.engine.memory.device import Placement
from dream.engine.memory.low_memory import count_mapped_bytes
from tests.engine.test_split_models import make
from tests.random_split import t5
from tests.recipes import recipe
from tests.split_files import denoiser_tensors, save, write_split

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there, files are copied")
HALF, SINGLE = (Placement("cpu", name, "") for name in ("bfloat16", "float32"))


@pytest.fixture(autouse=True)
def small_weights_stay_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_copy, "MAPPED_SIZE", 1)


def write(path: Path, tensors: dict[str, torch.Tensor]) -> MappedFile:
    save_file(tensors, path)
    return open_mapped(path)


def test_what_a_copy_would_not_change_stays_where_it_is(tmp_path: Path) -> None:
    weights = {
        "half": torch.randn(64, 64).bfloat16(),
        "fp16": torch.randn(64, 64).half(),
        "kernel": torch.randn(8, 8, 3, 3).bfloat16(),
        "bytes": torch.arange(64).to(torch.uint8),
    }
    file = write(tmp_path / "it.safetensors", weights)
    stay = {name for name, t in file.tensors.items() if can_stay_mapped(t, HALF, [file])}
    assert stay == {"half", "bytes"}
    half = file.tensors["half"]
    assert can_stay_mapped(half[:32], HALF, [file]), "a part of a fused weight"
    assert not can_stay_mapped(half.T, HALF, [file])
    assert not can_stay_mapped(half.clone(), HALF, [file]), "that is in memory of its own"
    assert not can_stay_mapped(half, Placement("cuda:0", "bfloat16", ""), [file])
    assert not can_stay_mapped(half, SINGLE, [file])


def test_float32_stays_only_where_products_have_the_same_bits(tmp_path: Path) -> None:
    for many in (1, 2, 9, 16):  # so that the header has other lengths
        weights = {"w": torch.randn(96, 64), "x" * many: torch.zeros(1)}
        file = write(tmp_path / f"{many}.safetensors", weights)
        tensor = file.tensors["w"]
        aligned = tensor.data_ptr() % ALIGNMENT == 0
        assert can_stay_mapped(tensor, SINGLE, [file]) == aligned


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_of_half_precision_do_not_depend_on_the_address(dtype: torch.dtype) -> None:
    """Why alignment is asked for float32 only. There, MKL's products of one row do depend on it."""
    for rows, columns in ((64, 64), (320, 320), (33, 65), (1024, 64)):
        weight, bias = torch.randn(rows, columns).to(dtype), torch.randn(rows).to(dtype)
        memory = torch.empty(weight.nbytes + 2 * ALIGNMENT, dtype=torch.uint8)
        first = -memory.data_ptr() % ALIGNMENT
        for tokens in (1, 3, 77):
            numbers = torch.randn(tokens, columns).to(dtype)
            expected = linear(numbers, weight, bias)
            for shift in range(0, ALIGNMENT, 8):
                place = memory[first + shift :][: weight.nbytes].view(dtype).view(weight.shape)
                assert torch.equal(linear(numbers, place.copy_(weight), bias), expected)


def test_what_is_written_to_a_weight_never_reaches_its_file(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    weights = {"weight": torch.randn(32, 32).bfloat16(), "bias": torch.zeros(32).bfloat16()}
    file = write(path, weights)
    before = path.read_bytes()
    with torch.device("meta"):
        layer = torch.nn.Linear(32, 32)
    loaded = load_weights(layer, file.tensors, path, HALF, [file])
    assert loaded.mapped_bytes == sum(t.nbytes for t in weights.values())
    assert all(file.contains(weight) for weight in loaded.parameters())
    loaded.weight.data.mul_(2)
    file.read_ahead()
    assert torch.equal(loaded.weight, weights["weight"] * 2)
    assert path.read_bytes() == before


def test_encoded_weights_stay_in_the_file_and_a_shared_table_is_there_once(tmp_path: Path) -> None:
    names = ("encoder.embed_tokens.weight", "shared.weight")
    encoder = t5().bfloat16()
    weights = {n: t.contiguous() for n, t in encoder.state_dict().items() if n != names[0]}
    file = write(tmp_path / "it.safetensors", weights)
    tensors = dict(file.tensors) | {names[0]: file.tensors["shared.weight"]}
    for placement in (HALF, SINGLE):
        with torch.device("meta"):
            model = type(encoder)(encoder.config)
        model = load_weights(model, tensors, tmp_path, placement, [file])
        tables = [model.get_parameter(name) for name in names]
        assert tables[0].data_ptr() == tables[1].data_ptr()
        assert file.contains(tables[0]) == (placement is HALF)


def test_t5_decodes_each_weight_once_for_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = t5().bfloat16().eval()
    weights: dict[str, torch.Tensor] = {
        name: encode_plain(t.to(torch.float8_e4m3fn)) if "block" in name and t.ndim == 2 else t
        for name, t in encoder.state_dict().items()
    }
    decoded = {
        name: t.decoded(torch.bfloat16) if isinstance(t, EncodedTensor) else t
        for name, t in weights.items()
    }
    encoder.load_state_dict(decoded)
    with torch.device("meta"):
        model = type(encoder)(encoder.config)
    model = load_weights(model, weights, Path(), HALF, ())
    layers = [module for module in model.modules() if isinstance(module, DecodedWeight)]
    calls: list[object] = []
    plain = DecodedWeight.forward

    def forward(layer: Any, *raw: torch.Tensor) -> torch.Tensor:
        if layer.held is None:
            calls.append(layer)
        return plain(layer, *raw)

    monkeypatch.setattr(DecodedWeight, "forward", forward)
    words = torch.arange(9)[None]
    with torch.no_grad():
        assert torch.equal(model(words)[0], encoder(words)[0])
    assert len(calls) == len(layers) > 0
    assert all(layer.held is None for layer in layers), "nothing is kept between texts"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two Z-Images in bfloat16, with one text encoder."""
    folder = tmp_path_factory.mktemp("two")
    pipe = make("z-image", folder).to(torch.bfloat16)
    write_split(pipe, "z-image", folder / "two")
    save(folder / "two" / "unet" / "other.safetensors", denoiser_tensors(pipe, "z-image"))
    return folder / "two"


def render(generator: ImageGenerator, model: str, report: Any = lambda event: None) -> str:
    values = {"width": 64, "height": 64, "steps": 2, "cfg_scale": 1.0, "prompt": "a red circle"}
    return generator.generate(recipe(model=model, **values), report).sha256


def test_a_mapped_model_renders_as_a_copied_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = []
    for size in (1, 2**40):
        monkeypatch.setattr(weight_copy, "MAPPED_SIZE", size)
        settings = DeviceConfig(precision="bfloat16")
        generator = create_generator(ModelRegistry([models]).get_model, settings)
        pixels.append(render(generator, "my-z-image"))
        pipe = generator.load("my-z-image", lambda event: None).pipe
        held = sum(weight.nbytes for weight in pipe.transformer.parameters())
        mapped = count_mapped_bytes([pipe])
        assert (mapped > held / 2) if size == 1 else (mapped == 0)
    assert pixels[0] == pixels[1]


@pytest.mark.parametrize("most", [1, 2])
def test_switching_between_two_models_loads_their_text_encoder_once(
    models: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[object] = []
    load = split_model.load_text_encoder

    def counted(*args: Any, **options: Any) -> Any:
        loads.append(args)
        return load(*args, **options)

    monkeypatch.setattr(split_model, "load_text_encoder", counted)
    settings = DeviceConfig(precision="bfloat16", max_loaded_models=most)
    generator = create_generator(ModelRegistry([models]).get_model, settings)
    for name in ("my-z-image", "other", "my-z-image", "other"):
        generator.load(name, lambda event: None)
    assert len(loads) == 1
    assert len(generator.list_loaded()) == most


def test_a_file_that_is_overwritten_during_an_image_fails_it_and_is_loaded_again(
    models: Path,
) -> None:
    path = models / "unet" / "other.safetensors"
    generator = create_generator(
        ModelRegistry([models]).get_model, DeviceConfig(precision="bfloat16")
    )
    content = path.read_bytes()
    expected = render(generator, "other")

    def overwrite(event: object) -> None:
        path.write_bytes(content)  # the same numbers, at another time

    with pytest.raises(ModelError, match="other were overwritten while the image"):
        render(generator, "other", overwrite)
    assert render(generator, "other") == expected
