"""Models in several files, quantized: the pixels are those of the decoded numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from torch.nn.utils.parametrize import is_parametrized

from dream.catalogue import ModelRegistry
from dream.catalogue.detect import detect
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from tests import number_formats as formats
from tests.engine.test_split_models import make, paint
from tests.split_files import Tensors, denoiser_tensors, encoder_tensors, save, write_split

Q8_0, Q4_0 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0


def of_layers(name: str, weight: torch.Tensor) -> bool:
    return weight.ndim == 2 and weight.shape[1] % 32 == 0


def is_matrix(name: str, weight: torch.Tensor) -> bool:
    return weight.ndim == 2 and "embd" not in name


def in_gguf(kind: gguf.GGMLQuantizationType, architecture: str) -> Callable[..., Tensors]:
    def write(weights: Tensors, path: Path) -> Tensors:
        path = path.with_suffix(".gguf")
        return formats.save_gguf(weights, path, kind, is_matrix, architecture)

    return write


def in_safetensors(how: Callable[..., formats.Written]) -> Callable[..., Tensors]:
    def write(weights: Tensors, path: Path) -> Tensors:
        file, numbers = formats.encode(weights, how, of_layers)
        save(path, file)
        return numbers

    return write


@pytest.mark.parametrize(
    ("family", "write", "form"),
    [
        ("z-image", in_safetensors(formats.fp8_scaled), "fp8 scaled"),
        ("z-image", in_gguf(Q8_0, "lumina2"), "Q8_0"),
        ("flux", in_gguf(Q4_0, "flux"), "Q4_0"),
        ("flux2", in_safetensors(formats.int8), "int8"),
        ("qwen-image", in_safetensors(formats.fp8), "fp8"),
        ("sd3", in_safetensors(formats.nvfp4), "nvfp4"),
        ("krea2", in_safetensors(formats.fp8_scaled), "fp8 scaled"),
        ("flux", in_safetensors(partial(formats.nf4, nested=True)), "nf4"),
        ("flux2-dev", in_safetensors(formats.fp8_scaled), "fp8 scaled"),
        ("hidream", in_safetensors(formats.fp8), "fp8"),
    ],
)
def test_a_denoiser_in_each_format(
    tmp_path: Path, family: str, write: Callable[..., Tensors], form: str
) -> None:
    pipe = make(family, tmp_path)
    models = tmp_path / "ComfyUI" / "models"
    original = write_split(pipe, family, models)
    numbers = write(denoiser_tensors(pipe, family), original.with_stem("encoded"))
    save(original, numbers)
    generator = create_generator(ModelRegistry([models]).get_model)
    encoded = paint(generator, "encoded")
    assert encoded.sha256 == paint(generator, original.stem).sha256
    (path,) = original.parent.glob("encoded.*")
    assert (detect(path).family, detect(path).number_format) == (family, form)
    assert layers_of(generator, "encoded") > 5


def layers_of(generator: ImageGenerator, model: str, part: str = "transformer") -> int:
    """How many layers stay as they are stored."""
    pipe = generator.load(model, lambda event: None).pipe
    return sum(is_parametrized(layer, "weight") for layer in getattr(pipe, part).modules())


def test_a_text_encoder_of_llama_cpp(tmp_path: Path) -> None:
    """Qwen3, whose names in the file are llama.cpp's; the sizes of heads are in the shapes."""
    pipe = make("z-image", tmp_path)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 8)
    plain = encoder_tensors(pipe.text_encoder)
    renamed = {llama_name(names, name): name for name in plain}
    for tree in ("encoded", "numbers"):
        write_split(pipe, "z-image", tmp_path / tree)
    (path,) = (tmp_path / "encoded" / "text_encoders").glob("*.safetensors")
    path.unlink()
    weights = {llama: plain[name] for llama, name in renamed.items()}
    numbers = in_gguf(Q8_0, "qwen3")(weights, path)
    (path,) = (tmp_path / "numbers" / "text_encoders").glob("*.safetensors")
    save(path, {renamed[llama]: tensor for llama, tensor in numbers.items()})
    painted = []
    for tree in ("encoded", "numbers"):
        generator = create_generator(ModelRegistry([tmp_path / tree]).get_model)
        painted.append(paint(generator, "my-z-image").sha256)
        assert bool(layers_of(generator, "my-z-image", "text_encoder")) == (tree == "encoded")
    assert painted[0] == painted[1]


def llama_name(names: Any, name: str) -> str:
    owner, _, last = name.rpartition(".")
    return f"{names.get_name(owner)}.{last}"
