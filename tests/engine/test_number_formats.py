"""Each number format gives the same pixels as the folder with the decoded numbers, and the numbers
are those of the reference."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from dream.catalogue.detect import read_header
from dream.catalogue.detect.gguf_types import BLOCK_TYPES
from dream.catalogue.model_info import ModelInfo
from dream.engine import create_generator
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.encoded_tensor import EncodedTensor
from dream.engine.loading.formats import gguf_blocks
from dream.engine.loading.formats.fp8_and_int8 import encode_scaled
from dream.engine.loading.single_file import load_file
from dream.engine.memory.device import choose_placement
from dream.engine.memory.model_cache import estimate_memory
from tests import number_formats as formats
from tests import single_files
from tests.random_layouts import make_layout
from tests.recipes import recipe

Tensors = dict[str, torch.Tensor]
UNET = "model.diffusion_model."
TYPES = {kind.name: kind for kind in gguf.GGMLQuantizationType}
SUPPORTED = [kind for kind in BLOCK_TYPES.values() if kind.supported and kind.numbers > 1]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("formats")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def weights() -> Tensors:
    return single_files.original(make_layout("sd1"))


def paint(path: Path) -> np.ndarray:
    painter = create_generator(lambda name: ModelInfo(name=name, path=path))
    return np.asarray(painter.generate(recipe(model=path.name, steps=1), lambda _: None).image)


def of_denoiser(name: str, weight: torch.Tensor) -> bool:
    return name.startswith(UNET) and weight.ndim > 1


def matrix(name: str, weight: torch.Tensor) -> bool:
    return of_denoiser(name, weight) and weight.ndim == 2 and weight.shape[1] % 16 == 0


def as_folder(numbers: Tensors, places: Path) -> Path:
    """A folder in diffusers layout with these weights."""
    plain = single_files.save(numbers, places / "numbers.safetensors")
    pipe = load_file(plain, choose_placement("cpu", "float32"))
    shutil.rmtree(places / "numbers", ignore_errors=True)
    pipe.save_pretrained(places / "numbers")
    return places / "numbers"


# ── pixels ─────────────────────────────────────────────────────────────────────────────────────

SAFETENSORS: dict[str, Callable[[torch.Tensor], formats.Written]] = {
    "fp8": formats.fp8,
    "fp8 e5m2": partial(formats.fp8, kind=formats.E5M2),
    "fp8 scaled": formats.fp8_scaled,
    "fp8 scaled rows": partial(formats.fp8_scaled, name="weight_scale", rows=True),
    "int8": formats.int8,
    "int8 convrot": partial(formats.int8, group=16),
    "nvfp4": formats.nvfp4,
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_the_same_pixels_as_the_decoded_numbers(places: Path, weights: Tensors, name: str) -> None:
    wanted = of_denoiser if name.startswith("fp8") else matrix
    file, numbers = formats.encode(weights, SAFETENSORS[name], wanted)
    if name == "fp8 scaled":
        file[UNET + "scaled_fp8"] = torch.empty(2, dtype=formats.E4M3)
    path = single_files.save(file, places / "encoded.safetensors")
    assert read_header(path).number_format == name.removesuffix(" e5m2").removesuffix(
        " rows"
    ).replace(" convrot", "")
    assert np.array_equal(paint(path), paint(as_folder(numbers, places)))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_K"])
def test_the_same_pixels_as_the_decoded_blocks(places: Path, weights: Tensors, kind: str) -> None:
    path = places / "encoded.gguf"
    numbers = formats.save_gguf(weights, path, TYPES[kind], of_denoiser)
    assert read_header(path).number_format == kind
    assert np.array_equal(paint(path), paint(as_folder(numbers, places)))


def test_layers_stay_as_they_are_stored_and_the_rest_is_decoded(
    places: Path, weights: Tensors
) -> None:
    """In memory: a byte for each number of a layer; norms and biases in the data type chosen."""
    file, _ = formats.encode(weights, formats.fp8_scaled, of_denoiser)
    path = single_files.save(file, places / "encoded.safetensors")
    pipe = load_file(path, choose_placement("cpu", "bfloat16"))
    unet = pipe.unet
    layer = unet.down_blocks[0].resnets[0].conv1
    (stored, scales) = layer.parametrizations.weight.parameters()
    assert (stored.dtype, stored.numel()) == (torch.uint8, layer.weight.numel())
    assert scales.shape == (layer.weight.shape[0], 4), "float32, as bytes"
    held = sum(
        tensor.nbytes
        for part in (unet, pipe.vae, pipe.text_encoder)
        for tensor in (*part.parameters(), *part.buffers())
    )
    estimate = estimate_memory(ModelInfo(name="it", path=path), "cpu", "bfloat16")
    assert estimate.weights == pytest.approx(held, rel=0.001)
    assert unet.dtype == layer.weight.dtype == layer.bias.dtype == torch.bfloat16
    rounded = layer.weight.to(torch.float32)
    assert torch.equal(unet.to(torch.float32).down_blocks[0].resnets[0].conv1.weight, rounded)
    assert torch.equal(next(iter(layer.parametrizations.weight.parameters())), stored)


# ── numbers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", SUPPORTED, ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_blocks_are_decoded_to_the_bits_of_llama_cpp(kind: Any) -> None:
    """Of random bytes, whatever they are: infinities too."""
    blocks = np.random.default_rng(0).integers(0, 256, (40, kind.size), dtype=np.uint8)
    expected = gguf.quants.dequantize(blocks, TYPES[kind.name])
    weight = gguf_blocks.encode(torch.from_numpy(blocks).flatten(), kind, (10, 4 * kind.numbers))
    found = weight.decoded().numpy().reshape(expected.shape)
    assert np.array_equal(found, expected, equal_nan=True)


def test_the_table_of_types_is_that_of_llama_cpp() -> None:
    ours = {row.name: (row.numbers, row.size) for row in BLOCK_TYPES.values()}
    theirs = {kind.name: gguf.GGML_QUANT_SIZES[kind] for kind in gguf.GGMLQuantizationType}
    assert ours == {name: theirs[name] for name in ours}
    assert all(TYPES[row.name].value == number for number, row in BLOCK_TYPES.items())


def test_numbers_written_out_by_hand(tmp_path: Path) -> None:
    stored = torch.tensor([[0x38, 0xB8], [0x40, 0x7E]], dtype=torch.uint8)  # 1 -1 2 448
    packed = torch.tensor([[0x12, 0xF7] * 4], dtype=torch.uint8)  # 0.5 1 -6 6
    scales = torch.zeros(128, 4, dtype=torch.uint8)
    scales[0, 0] = 0x40  # 2
    file = {
        "fp8.weight": stored.view(formats.E4M3),
        "tensor.weight": stored.view(formats.E4M3),
        "tensor.scale_weight": torch.tensor(0.5),
        "rows.weight": stored.view(formats.E4M3),
        "rows.weight_scale": torch.tensor([[0.5], [0.25]]),
        "rows.input_scale": torch.tensor(1.0),
        "int8.weight": torch.tensor([[127, -1]], dtype=torch.int8),
        "int8.weight_scale": torch.tensor([[0.5]]),
        "turned.weight": torch.tensor([[1, 0, 0, 0]], dtype=torch.int8),
        "turned.weight_scale": torch.tensor([[2.0]]),
        "turned.comfy_quant": formats.as_text({"convrot": True, "convrot_groupsize": 4}),
        "four.weight": packed,
        "four.weight_scale": scales.view(formats.E4M3),
        "four.weight_scale_2": torch.tensor(0.25),
        "scaled_fp8": torch.empty(2, dtype=formats.E4M3),
        "plain.bias": torch.ones(2),
    }
    path = single_files.save(file, tmp_path / "some.safetensors")
    found = {
        name.partition(".")[0]: (t.decoded() if isinstance(t, EncodedTensor) else t).tolist()
        for name, t in open_tensors(path, "safetensors").tensors.items()
    }
    assert found == {
        "fp8": [[1, -1], [2, 448]],
        "tensor": [[0.5, -0.5], [1, 224]],
        "rows": [[0.5, -0.5], [0.5, 112]],
        "int8": [[63.5, -0.5]],
        "turned": [[1, 1, 1, -1]],  # the first row of the rotation, halved, and doubled
        "four": [[0.25, 0.5, -3, 3] * 4],
        "plain": [1, 1],
    }
    header = read_header(path)
    assert header.tensors["four.weight"].shape == (1, 16)
    assert header.tensors.keys() == open_tensors(path, "safetensors").tensors.keys()


def test_rows_stay_encoded_and_all_else_is_decoded() -> None:
    """What diffusers' converters do with weights: split in three, joined in another order."""
    parts, _ = formats.fp8_scaled(torch.randn(96, 32))
    encoded = encode_scaled(parts["weight"], parts["scale_weight"])
    blocks = torch.from_numpy(formats.random_blocks((96, 32), TYPES["Q4_0"])).flatten()
    gguf_encoded = gguf_blocks.encode(blocks, BLOCK_TYPES[2], (96, 32))
    for whole in (encoded, gguf_encoded):
        q, k, v = torch.chunk(whole, 3, dim=0)
        again = torch.cat([v, k, q], dim=0)
        assert isinstance(again, EncodedTensor) and again.stored_size <= 96 * (32 + 4)
        expected = torch.cat(torch.chunk(whole.decoded(), 3)[::-1])
        assert torch.equal(again.decoded(), expected)
        assert torch.equal(whole[3:9].decoded(), whole.decoded()[3:9])
        assert torch.equal(whole.T, whole.decoded().T)
        row = torch.ones(1, 32)
        assert torch.equal(torch.cat([q, row]), torch.cat([q.decoded(), row]))
        assert whole.to(torch.bfloat16).dtype == torch.bfloat16
    mixed = torch.cat([encoded, gguf_encoded])
    assert type(mixed) is torch.Tensor and mixed.shape == (192, 32)


# ── text encoders of llama.cpp ─────────────────────────────────────────────────────────────────
