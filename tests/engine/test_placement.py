"""Weights on their way from the disk: the same numbers as by torch's and diffusers' own ways."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.engine.loading import weight_copy as placing
from dream.engine.loading.components import load_tokenizer
from dream.engine.loading.mmap_file import open_mapped
from dream.engine.loading.pipelines import load_model
from dream.engine.loading.weight_copy import allocate_for, copy_into
from dream.engine.memory.device import PRECISIONS, Placement, choose_placement
from dream.engine.silence_libraries import silence_libraries

KINDS = [getattr(torch, name) for name in PRECISIONS]


def _placed(tensor: torch.Tensor, place: Placement) -> torch.Tensor:
    return copy_into(tensor, allocate_for(tensor, place))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_rounded_as_torch_rounds_them(
    monkeypatch: pytest.MonkeyPatch, kind: torch.dtype, precision: str
) -> None:
    monkeypatch.setattr(placing, "CHUNK", 7 * 9)
    place = choose_placement("cpu", precision)
    numbers = torch.randn(11, 3, 3, 3, generator=torch.Generator().manual_seed(1)) * 1e3
    numbers.view(-1)[:4] = torch.tensor([6e-8, 0.0, -65504.0, float("inf")])
    for tensor in (
        numbers.to(kind),
        numbers.to(kind)[..., 0].transpose(0, 1),
        numbers.to(kind)[0, 0, 0, 0],
    ):
        made = _placed(tensor, place)
        assert torch.equal(made, tensor.to(place.dtype))
        assert made.data_ptr() != tensor.data_ptr()
        assert tensor.ndim < 4 or made.is_contiguous(memory_format=torch.channels_last)
    assert _placed(torch.arange(9), place).dtype == torch.int64


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_folder_is_read_as_diffusers_reads_it(random_models: Path, precision: str) -> None:
    folder = random_models / "random"
    pipe = load_model(ModelInfo(name="it", path=folder), "cpu", precision).pipe
    with silence_libraries():
        own = StableDiffusionPipeline.from_pretrained(folder, dtype=pipe.unet.dtype)
    for name in ("unet", "vae", "text_encoder"):
        part, same = getattr(pipe, name), getattr(own, name)
        assert not part.training
        weights, others = part.state_dict(), same.state_dict()
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[n], others[n]) for n in weights)
    attention = pipe.text_encoder.config._attn_implementation
    assert attention == own.text_encoder.config._attn_implementation


def test_what_becomes_of_the_file_later_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(5), "none": torch.ones(0, 2), "yes": torch.tensor([True])}, path)
    mapped = open_mapped(path)
    assert all(torch.equal(mapped.tensors[n], t) for n, t in load_file(path).items())
    copy = _placed(mapped.tensors["a"], choose_placement("cpu", "float32"))
    mapped.release_pages()
    assert torch.equal(mapped.tensors["a"], torch.ones(5)), "it is read again"
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    assert torch.equal(copy, torch.ones(5))


def test_a_folder_loads_whole_or_not_at_all(random_models: Path, tmp_path: Path) -> None:
    """diffusers and transformers give weights that lack random numbers, and say so in a log."""
    for part, lost in (("text_encoder", "model"), ("unet", "diffusion_pytorch_model")):
        copy = Path(shutil.copytree(random_models / "random", tmp_path / part))
        path = copy / part / f"{lost}.safetensors"
        weights = load_file(path)
        gone = sorted(weights)[0]
        del weights[gone]
        save_file(weights, path)
        with pytest.raises(ModelError, match=f"missing {gone.removeprefix('text_model.')}"):
            load_model(ModelInfo(name="it", path=copy), "cpu", "float32")


def test_a_vae_of_2022_has_other_names_for_its_attention(
    random_models: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(random_models / "random", tmp_path / "old"))
    path = copy / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in weights.items():
        for new, former in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{former}.")
        renamed[name] = tensor
    assert renamed.keys() != weights.keys()
    save_file(renamed, path)
    vae = load_model(ModelInfo(name="it", path=copy), "cpu", "float32").pipe.vae
    assert all(torch.equal(tensor, weights[name]) for name, tensor in vae.state_dict().items())


def test_folders_with_the_same_words_share_a_tokenizer(random_models: Path, tmp_path: Path) -> None:
    one = Path(shutil.copytree(random_models / "random" / "tokenizer", tmp_path / "one"))
    other = Path(shutil.copytree(one, tmp_path / "other"))
    shared = load_tokenizer("CLIPTokenizer", one)
    assert load_tokenizer("CLIPTokenizer", other) is shared
    config = other / "tokenizer_config.json"
    document = json.loads(config.read_text()) | {"model_max_length": 33}
    config.write_text(json.dumps(document))
    own = load_tokenizer("CLIPTokenizer", other)
    assert own is not shared and own.model_max_length == 33
