"""Each number format gives the same pixels as the folder with the decoded numbers, and the numbers
are those of the reference."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers

from dream.catalogue.detect import read_header, require_model
from dream.catalogue.detect.gguf_types import BLOCK_TYPES
from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.loading import quantize
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.encoded_tensor import EncodedTensor
from dream.engine.loading.formats import gguf_blocks
from dream.engine.loading.formats.fp8_and_int8 import encode_scaled
from dream.engine.loading.formats.safetensors_scales import join_scales
from dream.engine.loading.pipelines import load_model
from dream.engine.loading.quantized_folders import require_packages
from dream.engine.loading.single_file import load_file
from dream.engine.memory.device import choose_placement
from dream.engine.memory.memory_estimate import estimate_memory
from dream.options.quantize_table import QUANTIZATIONS
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
    "nf4": formats.nf4,
    "nf4 nested": partial(formats.nf4, nested=True),
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_the_same_pixels_as_the_decoded_numbers(places: Path, weights: Tensors, name: str) -> None:
    in_blocks = (lambda n, w: matrix(n, w) and w.numel() % 64 == 0) if "nf4" in name else matrix
    wanted = of_denoiser if name.startswith("fp8") else in_blocks
    file, numbers = formats.encode(weights, SAFETENSORS[name], wanted)
    if name == "fp8 scaled":
        file[UNET + "scaled_fp8"] = torch.empty(2, dtype=formats.E4M3)
    path = single_files.save(file, places / "encoded.safetensors")
    assert read_header(path).number_format == name.removesuffix(" e5m2").removesuffix(
        " rows"
    ).replace(" convrot", "").removesuffix(" nested")
    levels = np.abs(paint(path).astype(int) - paint(as_folder(numbers, places)))
    # a matrix product, which turns the reference back, rounds as the processor likes
    assert levels.max() <= (1 if name == "int8 convrot" else 0)


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


def test_four_bits_of_bitsandbytes_take_as_much_room_as_is_estimated(
    places: Path, weights: Tensors
) -> None:
    """Also where a row is not whole blocks: two rows of 32 share one."""
    wanted = lambda n, w: matrix(n, w) and w.numel() % 64 == 0  # noqa: E731
    file, numbers = formats.encode(weights, formats.nf4, wanted)
    path = single_files.save(file, places / "encoded.safetensors")
    tensors = open_tensors(path, "safetensors").tensors
    encoded = {name for name, one in tensors.items() if isinstance(one, EncodedTensor)}
    assert any(tensors[name].shape[1] == 32 for name in encoded)
    assert tensors.keys() == numbers.keys() == read_header(path).tensors.keys()
    for name in encoded:
        assert torch.equal(tensors[name].decoded(), numbers[name])
        assert read_header(path).tensors[name].shape == numbers[name].shape
        assert read_header(path).tensors[name].size == tensors[name].stored_size


def test_four_bits_are_those_of_bitsandbytes() -> None:
    """The first bytes of a published weight, as its library decodes them to bfloat16."""
    packed = torch.zeros(32, dtype=torch.uint8)
    packed[:8] = torch.tensor([110, 90, 88, 44, 228, 163, 9, 25])
    config = {"quant_type": "nf4", "blocksize": 64, "shape": [1, 64]}
    tensors = {
        "w.weight": packed[:, None],
        "w.weight.absmax": torch.tensor([0.03125]),
        "w.weight.quant_map": formats.NF4,
        "w.weight.quant_state.bitsandbytes__nf4": formats.as_text(config),
    }
    found = join_scales(tensors, {}, Path("it"))["w.weight"]
    assert isinstance(found, EncodedTensor) and found.shape == (1, 64)
    expected = [-0.002838, 0.022583, -0.005768, 0.00769, -0.005768, 0.002487, -0.016357, 0.013794]
    assert found.decoded(torch.bfloat16)[0, :8].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[" * 900,
        b"[]",
        b'{"quant_type": "nf4", "blocksize": 64, "shape": [3, 7]}',
        b'{"quant_type": "nf4", "blocksize": 64, "shape": [64, 640000]}',
        b'{"quant_type": "nf4", "blocksize": 128, "shape": [64, 64]}',
        b'{"quant_type": "nf4", "blocksize": 64, "shape": [-64, -64]}',
        b'{"quant_type": "int2", "blocksize": 64, "shape": [64, 64]}',
        b'{"quant_type": "nf4", "blocksize": 64, "shape": [1e400, 64]}',
    ],
)
def test_what_is_not_understood_of_bitsandbytes_is_refused(
    places: Path, weights: Tensors, text: bytes
) -> None:
    name = next(name for name, weight in weights.items() if matrix(name, weight))
    parts, _ = formats.nf4(torch.randn(64, 64))
    owner = name.removesuffix("weight")
    file = {n: t for n, t in weights.items() if n != name} | {
        owner + k: t for k, t in parts.items()
    }
    file[f"{name}.quant_state.bitsandbytes__nf4"] = torch.tensor(list(text), dtype=torch.uint8)
    path = single_files.save(file, places / "hostile.safetensors")
    with pytest.raises(ModelError, match="bitsandbytes 4-bit weights, which are not supported"):
        require_model(path)
    with pytest.raises(ModelError, match=r"cannot be (decoded|read)"):
        open_tensors(path, "safetensors")


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

_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 50,
    "tie_word_embeddings": True,
}
ENCODERS: dict[str, tuple[str, gguf.MODEL_ARCH, dict[str, Any]]] = {
    "t5encoder": (
        "T5",
        gguf.MODEL_ARCH.T5ENCODER,
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 50}
        | {"feed_forward_proj": "gated-gelu"},
    ),
    "qwen2": ("Qwen2", gguf.MODEL_ARCH.QWEN2, _SMALL),
    "qwen3": ("Qwen3", gguf.MODEL_ARCH.QWEN3, _SMALL),
    "gemma2": ("Gemma2", gguf.MODEL_ARCH.GEMMA2, _SMALL),
    "gemma3": ("Gemma3Text", gguf.MODEL_ARCH.GEMMA3, _SMALL),
    "llama": ("Llama", gguf.MODEL_ARCH.LLAMA, _SMALL),
}


def encoder_weights(kind: str, config: dict[str, Any]) -> Tensors:
    """Random weights of a text encoder, by transformers' names."""
    made = getattr(transformers, f"{kind}Config")(**config)
    name = "T5EncoderModel" if kind == "T5" else f"{kind.removesuffix('Text')}ForCausalLM"
    model = getattr(transformers, name)(made)
    tied = ("lm_head.weight", "encoder.embed_tokens.weight")
    return {n: torch.randn(t.shape) for n, t in model.state_dict().items() if n not in tied}


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows of a head as llama.cpp's converter orders them (`LlamaModel.permute`)."""
    rows = weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2)
    return rows.reshape(weight.shape)


@pytest.mark.parametrize("architecture", ENCODERS)
def test_a_text_encoder_of_llama_cpp_has_the_weights_of_transformers(
    tmp_path: Path, architecture: str
) -> None:
    kind, arch, config = ENCODERS[architecture]
    weights = encoder_weights(kind, config)
    names = gguf.get_tensor_name_map(arch, 2)
    file = {}
    for name, weight in weights.items():
        owner, _, last = name.rpartition(".")
        if architecture.startswith("gemma") and name.endswith("norm.weight"):
            weight = weight + 1
        if architecture == "llama" and owner.endswith(("q_proj", "k_proj")):
            weight = interleaved(weight, 4 if owner.endswith("q_proj") else 2)
        file[f"{names.get_name(owner)}.{last}"] = weight
    path = tmp_path / "encoder.gguf"
    layers = formats.save_gguf(
        file,
        path,
        TYPES["Q8_0"],
        lambda name, weight: weight.ndim == 2 and "embd" not in name,
        architecture,
        head_count=4,
        head_count_kv=2,
    )
    found = open_tensors(path, "gguf").tensors
    assert found.keys() == weights.keys() == read_header(path).tensors.keys()
    assert len(layers) == len(weights)
    for name, weight in weights.items():
        tensor = found[name]
        got = tensor.decoded() if isinstance(tensor, EncodedTensor) else tensor
        assert torch.allclose(got, weight, atol=0.03), name
        assert read_header(path).tensors[name].shape == tuple(weight.shape)
    assert any(isinstance(tensor, EncodedTensor) for tensor in found.values())


# ── --quantize ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_numbers_are_quantized_to_the_bytes_of_llama_cpp(kind: str) -> None:
    weight = torch.randn(64, 96)
    weight[3, :32] = 0
    how = {"Q8_0": "int8", "Q4_0": "int4"}[kind]
    _, plan = quantize.plan(weight, how)
    found = plan.write(torch.empty(plan.shape, dtype=torch.uint8)).numpy()
    assert np.array_equal(found, gguf.quants.quantize(weight.numpy(), TYPES[kind]))


@pytest.mark.parametrize("how", QUANTIZATIONS)
def test_a_model_is_quantized_while_it_is_loaded(places: Path, how: str) -> None:
    """From a file, from a folder whose components dream builds, and from one that a library loads:
    the same pixels, which are not those of the model itself."""
    pipe = make_layout("sd1")
    file = single_files.save(single_files.original(pipe), places / "whole.safetensors")
    pipe.save_pretrained(places / "whole")
    pipe.save_pretrained(places / "pickled", safe_serialization=False)
    painter = create_generator(lambda name: ModelInfo(name=name, path=places / name))

    def paint_with(name: str, how: str | None) -> np.ndarray:
        wanted = recipe(model=name, steps=1, quantize=how)
        return np.asarray(painter.generate(wanted, lambda _: None).image)

    quantized = [paint_with(name, how) for name in (file.name, "whole", "pickled")]
    assert all(np.array_equal(one, quantized[0]) for one in quantized)
    assert not np.array_equal(paint_with("whole", None), quantized[0])


def test_the_estimate_knows_what_is_quantized(places: Path) -> None:
    pipe = make_layout("sd1")
    file = single_files.save(single_files.original(pipe), places / "whole.safetensors")
    pipe.save_pretrained(places / "whole")
    for path in (file, places / "whole"):
        info = ModelInfo(name="it", path=path, quantize="int4")
        loaded = load_model(info, "cpu", "bfloat16").pipe
        held = sum(
            tensor.nbytes
            for part in (loaded.unet, loaded.vae, loaded.text_encoder)
            for tensor in (*part.parameters(), *part.buffers())
        )
        estimate = estimate_memory(info, "cpu", "bfloat16")
        assert estimate.weights == pytest.approx(held, rel=0.02)
        vae = sum(tensor.nbytes for tensor in loaded.vae.parameters())
        assert vae == 2 * sum(tensor.numel() for tensor in pipe.vae.parameters()), "not quantized"


# ── other libraries ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (
            "bitsandbytes",
            "its unet is quantized with bitsandbytes, which is not installed (pip ins",
        ),
        ("sdnq", "its unet is quantized with sdnq, which is not installed (pip install sdnq, or"),
        ("svdquant", "its unet is quantized with SVDQuant (nunchaku), which would need code from"),
        (
            "nunchaku_lite",
            "SVDQuant (nunchaku), which would need code from the network to run (use",
        ),
        ("quanto", "its unet is quantized with optimum-quanto, which is not installed (pip insta"),
        ("of tomorrow", "its unet is quantized in a way that is not supported"),
    ],
)
def test_a_folder_of_another_library_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, "sdnq", None)  # as where it is not installed
    config = {"quantization_config": {"quant_method": method}}
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps(config))
    require_packages(tmp_path, {"scheduler": "diffusers"})
    with pytest.raises(ModelError) as caught:
        require_packages(tmp_path, {"scheduler": "diffusers", "unet": "diffusers"})
    assert says in str(caught.value)


def test_a_folder_of_a_library_that_is_here_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that adds itself to diffusers is imported for that."""
    (tmp_path / "sdnq.py").write_text("registered = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sdnq", raising=False)
    (tmp_path / "unet").mkdir()
    text = json.dumps({"quantization_config": {"quant_method": "sdnq"}})
    (tmp_path / "unet" / "config.json").write_text(text)
    require_packages(tmp_path, {"unet": "diffusers"})
    assert sys.modules.pop("sdnq").registered


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (b"{", "cannot be decoded"),
        (b'{"format": "of tomorrow"}', "the format 'of tomorrow' is not supported"),
        (b'{"convrot": true, "convrot_groupsize": 48}', "groups of 48"),
        (b"[" * 5000, "cannot be decoded"),
        (b"[]", "cannot be decoded"),
        (b" " * 20_000, "its configuration has 20,000 bytes"),
    ],
)
def test_a_damaged_configuration_is_not_guessed(tmp_path: Path, config: bytes, says: str) -> None:
    file = {
        "a.weight": torch.ones(4, 64, dtype=torch.int8),
        "a.weight_scale": torch.ones(4, 1),
        "a.comfy_quant": torch.tensor(list(config), dtype=torch.uint8),
    }
    path = single_files.save(file, tmp_path / "it.safetensors")
    with pytest.raises(ModelError, match=re.escape(says)):
        open_tensors(path, "safetensors")


@pytest.mark.skipif(torch.cuda.is_available() or torch.mps.is_available(), reason="has a GPU")
def test_a_library_that_needs_a_gpu_is_named_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is loaded: diffusers would say it in the middle, in its own words. Of text
    encoders, transformers has bitsandbytes read them anywhere."""
    (tmp_path / "bitsandbytes.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "unet").mkdir()
    config = {"quantization_config": {"quant_method": "bitsandbytes"}}
    (tmp_path / "unet" / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match="its unet is quantized with bitsandbytes, which needs a G"
    ):
        require_packages(tmp_path, {"unet": "diffusers"})
    require_packages(tmp_path, {"unet": "transformers"})
