"""Embeddings: every form of file, whole words only, and undone bit for bit."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.adapters import embedding_file
from dream.engine.adapters.embedding_file import open_embedding
from dream.engine.adapters.embeddings import use_embeddings
from dream.engine.image_generator import ImageGenerator
from dream.options.embedding_triggers import find_triggered
from tests.engine.adapters import layers
from tests.random_layouts import make_layout
from tests.random_models import WIDTH
from tests.recipes import recipe

Write = Callable[[Path, torch.Tensor], Path]


def a1111(folder: Path, vectors: torch.Tensor) -> Path:
    path = folder / "style.pt"
    torch.save(
        {
            "string_to_token": {"*": 265},
            "string_to_param": {"*": vectors},
            "name": "style",
            "step": 100,
            "sd_checkpoint": "abc",
            "sd_checkpoint_name": "v1",
        },
        path,
    )
    return path


def parameter_dict(folder: Path, vectors: torch.Tensor) -> Path:
    path = folder / "style.pt"
    params = torch.nn.ParameterDict({"*": torch.nn.Parameter(vectors)})
    torch.save({"string_to_token": {"*": 265}, "string_to_param": params}, path)
    return path


def diffusers_bin(folder: Path, vectors: torch.Tensor) -> Path:
    path = folder / "style.bin"
    torch.save({"<cat-toy>": vectors}, path)
    return path


def _safetensors(key: str) -> Write:
    def write(folder: Path, vectors: torch.Tensor) -> Path:
        save_file({key: vectors}, folder / "style.safetensors")
        return folder / "style.safetensors"

    return write


def png(folder: Path, vectors: torch.Tensor) -> Path:
    table = {"string_to_param": {"*": {"TORCHTENSOR": vectors.tolist()}}, "name": "style"}
    info = PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(json.dumps(table).encode()).decode())
    Image.new("RGB", (8, 8)).save(folder / "style.png", pnginfo=info)
    return folder / "style.png"


FORMS: dict[str, Write] = {
    "a1111": a1111,
    "parameter dict": parameter_dict,
    "diffusers": diffusers_bin,
    "diffusers safetensors": _safetensors("<cat-toy>"),
    "emb_params": _safetensors("emb_params"),
    "bare": _safetensors("EasyNegative"),
    "png": png,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 3])
def test_every_form_is_read(form: str, count: int, tmp_path: Path) -> None:
    vectors = layers.draw(count, 768)
    path = FORMS[form](tmp_path, vectors)
    (rows,) = open_embedding("style", path).vectors.values()
    assert torch.allclose(rows, vectors, atol=1e-6)
    if count == 1 and form.startswith("diffusers"):
        (flat,) = open_embedding("style", FORMS[form](tmp_path, vectors[0])).vectors.values()
        assert torch.equal(flat, vectors)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"x": torch.zeros(2, 3, 4)}, r"it contains x of shape \(2, 3, 4\)"),
        ({"x": torch.tensor(1.0)}, r"it contains x of shape \(\)"),
        ({"emb_params": torch.zeros(75, 0)}, r"it contains emb_params of shape \(75, 0\)"),
        ({"emb_params": torch.zeros(0)}, r"it contains emb_params of shape \(0\)"),
        ({"emb_params": torch.zeros(0, 768)}, "it has 0 vectors, not 1 to 75"),
        ({"x" * 4000: torch.zeros(2, 3, 4)}, r"it contains x{120}… of shape"),
        ({"x": torch.zeros(200, 8)}, "it has 200 vectors, not 1 to 75"),
        ({"clip_l": torch.zeros(1, 8), "clip_g": torch.zeros(2, 8)}, "different numbers"),
    ],
)
def test_what_is_not_an_embedding_is_said(
    tensors: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=message):
        open_embedding("x", tmp_path / "x.safetensors")


@pytest.mark.parametrize("shape", [(1_000_000, 768), (1, 768_000_000)])
def test_the_header_is_enough_to_refuse_a_large_one(
    shape: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors that are not aligned are copied when they are opened: 3 GB."""
    size = 4 * shape[0] * shape[1]
    row = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"emb_params": row}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + size)
    monkeypatch.delattr(embedding_file, "open_tensors")
    with pytest.raises(ModelError, match=r"it has 1000000 vectors|emb_params of shape"):
        open_embedding("x", path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a cat in style", ["style"]),
        ("a cat in STYLE.", ["style"]),
        ("a cat in <style>, big", ["style"]),
        ("a<style>cat", ["style"]),
        ("embedding:style", ["style"]),
        ("(embedding:style:1.2)", ["style"]),
        ("embedding:style.pt, big", ["style"]),
        ("embedding:old/good-ones/style.safetensors", ["style"]),
        (r"embedding:old\style", ["style"]),
        ("embedding:styles", []),
        ("stylefoo, my style-guide, restyle, lifestyle", []),
        ("style-2, style", ["style-2", "style"]),
        ("bad style", ["bad style"]),
        ("(style)1.3 (style:1.2) style+", ["style"]),
        ("nothing", []),
    ],
)
def test_triggers_are_whole_words(text: str, names: list[str]) -> None:
    assert find_triggered(text, ("style", "style-2", "bad style")) == names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embeddings")
    save_file({"emb_params": layers.draw(2, WIDTH, scale=3.0)}, folder / "style.safetensors")
    save_file({"emb_params": layers.draw(1, 7)}, folder / "wide.safetensors")
    return folder


@pytest.fixture(scope="module")
def generator(random_models: Path, folder: Path) -> ImageGenerator:
    return create_generator(
        ModelRegistry([random_models]).get_model,
        find_adapter=lambda kind, name: folder / f"{name}.safetensors",
    )


def generate(generator: ImageGenerator, prompt: str, *names: str, **changes: Any) -> Any:
    return generator.generate(
        recipe(prompt=prompt, embedding=names or None, **changes), lambda _: None
    )


def test_it_changes_the_image_and_is_gone_afterwards(generator: ImageGenerator) -> None:
    pipe = generator.load("random", lambda _: None).pipe
    tokenizer, table = pipe.tokenizer, pipe.text_encoder.get_input_embeddings().weight.clone()
    plain = generate(generator, "a cat in style")
    with_it = generate(generator, "a cat in style", "style")
    assert with_it.sha256 != plain.sha256
    assert generate(generator, "a cat in <style>", "style").sha256 == with_it.sha256
    assert generate(generator, "a cat in embedding:style", "style").sha256 == with_it.sha256
    assert generate(generator, "a cat in style").sha256 == plain.sha256
    negative = generate(generator, "a cat", "style", negative="style")
    assert negative.sha256 != generate(generator, "a cat", negative="style").sha256
    inside = generate(generator, "a lifestyle", "style")
    assert inside.sha256 == generate(generator, "a lifestyle").sha256
    assert pipe.tokenizer is tokenizer
    assert torch.equal(pipe.text_encoder.get_input_embeddings().weight, table)
    assert with_it.facts["embedding style"].startswith(with_it.facts["embedding"])


def test_one_of_another_width_is_an_error(generator: ImageGenerator) -> None:
    with pytest.raises(ModelError, match="wide does not fit random: its vectors have 7 numbers"):
        generate(generator, "wide", "wide")


@pytest.mark.parametrize("syntax", ["invokeai", "a1111", "plain"])
def test_their_vectors_are_counted(generator: ImageGenerator, syntax: str) -> None:
    """Also those that begin a chunk of their own; the model is as before."""
    settings: dict[str, Any] = {"embedding": ("style",), "negative": "style", "syntax": syntax}

    def count(prompt: str) -> tuple[str, ...]:
        return generator.count_tokens(recipe(prompt=prompt, **settings), lambda _: None)

    pipe = generator.load("random", lambda _: None).pipe
    tokenizer = pipe.tokenizer
    red = len(tokenizer("red", add_special_tokens=False).input_ids)
    said = count("red style")
    assert said[0].startswith(f"prompt: {red + 2} tokens")
    assert said[1].startswith("negative prompt: 2 tokens")
    assert said[2] == "embedding style: 2 tokens"
    if syntax != "plain":
        assert count("style " * 38)[0].startswith("prompt: 74 + 2 tokens in 2 chunks of 75")
    assert pipe.tokenizer is tokenizer


@pytest.mark.parametrize(
    "names", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")], ids=["kohya", "pti"]
)
def test_vectors_stand_where_the_words_were(names: tuple[str, str], folder: Path) -> None:
    """The table's output is that of the words around, and the vectors between."""
    pipe = make_layout("sdxl")
    both = {name: layers.draw(2, 32, seed=seed) for seed, name in enumerate(names, 1)}
    save_file(both, folder / "xl.safetensors")
    embedding = open_embedding("xl", folder / "xl.safetensors")
    for part, encoder in (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")):
        table = getattr(pipe, encoder).get_input_embeddings()
        tokenizer = getattr(pipe, part)
        settings = {"padding": "max_length", "max_length": 77, "return_tensors": "pt"}
        expected = tokenizer("a cat ! ! on a mat", truncation=True, **settings).input_ids
        with use_embeddings(pipe, [embedding], "model"):
            ids = getattr(pipe, part)("a cat xl on a mat", truncation=True, **settings).input_ids
            rows = table(ids)[0]
        places = (ids[0] < 0).nonzero().flatten().tolist()
        assert places == [3, 4]
        assert torch.equal(ids[0][5:], expected[0][5:])
        wanted = both[names[part == "tokenizer_2"]]
        assert torch.equal(rows[3:5], wanted)
        assert torch.equal(rows[5:], table(expected)[0][5:])


def test_the_pooled_vector_is_that_of_the_end_of_the_text(folder: Path) -> None:
    """Also where the configuration is one of the older ones, whose end is the highest token."""
    pipe = make_layout("sdxl")
    save_file({"clip_g": layers.draw(2, 32)}, folder / "pooled.safetensors")
    embedding = open_embedding("pooled", folder / "pooled.safetensors")
    encoder = pipe.text_encoder_2
    part = getattr(encoder, "text_model", encoder)
    pooled = []
    for end in (part.eos_token_id, 2):
        part.eos_token_id = end
        settings = {"padding": "max_length", "max_length": 77, "return_tensors": "pt"}
        with use_embeddings(pipe, [embedding], "model"), torch.no_grad():
            ids = pipe.tokenizer_2("a cat pooled", **settings).input_ids
            pooled.append(encoder(ids).text_embeds)
    assert torch.equal(*pooled)


def test_a_prompt_that_is_too_long_is_cut_at_the_end(folder: Path) -> None:
    pipe = make_layout("sd1")
    save_file({"emb_params": layers.draw(3, 32)}, folder / "three.safetensors")
    embedding = open_embedding("three", folder / "three.safetensors")
    with use_embeddings(pipe, [embedding], "model"):
        settings = {"padding": "max_length", "max_length": 77, "truncation": True}
        long = "three " * 40
        ids = pipe.tokenizer(long, **settings).input_ids
        assert len(ids) == 77
        assert ids[0] == pipe.tokenizer.bos_token_id
        assert ids[-1] == pipe.tokenizer.eos_token_id
        assert pipe.tokenizer(long, **settings).attention_mask == [1] * 77
        pair = pipe.tokenizer(["three", "a cat"], padding="longest", return_tensors="pt")
        assert pair.input_ids.shape == (2, 5)
        assert pair.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
