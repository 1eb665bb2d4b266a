"""What a task needs, by content, and how its input images travel."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.catalogue.auxiliary import CLIPSEG, MAP_NETWORKS
from dream.catalogue.model_info import ModelInfo, PartFile
from dream.cluster.file_hashes import HASHERS, find_difference, hash_required_files
from dream.cluster.input_files import (
    place_input_files,
    read_input_files,
    rename_input_files,
    with_input_files,
)
from dream.cluster.required_files import RequiredFile, list_required_files
from dream.core.errors import InputError, ModelError
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import IMAGE_FILE_FIELDS
from dream.core.stages import EMBIGGEN, UPSCALE
from dream.options.control import CONTROL_KINDS, Control
from dream.options.lora import Hypernet, Lora
from dream.options.option_type import Upscale
from dream.options.text_mask import TextMask
from dream.worker.protocol import ConvertTask, FinishTask, LoadTask, RenderTask
from tests.recipes import recipe

MODEL = RequiredFile("model", "random")
CONFIGURATION = RequiredFile("configuration of", "random")
ESTIMATOR = RequiredFile("depth estimator of", "random")


def test_a_model_is_known_by_its_weights(registry: ModelRegistry) -> None:
    files = list_required_files(LoadTask("random"))
    assert files == (MODEL, CONFIGURATION)
    assert list_required_files(RenderTask(recipe())) == (*files, ESTIMATOR)
    assert list_required_files(ConvertTask("random", Path("x"))) == ()
    hashes = hash_required_files(registry, files)
    assert len(hashes[MODEL]) == 64
    other = {**hashes, MODEL: hashes[MODEL][::-1]}
    found = find_difference(hashes, other, "10.0.0.7 cpu 0")
    assert found == (
        MODEL,
        f"the model random on 10.0.0.7 cpu 0 is {other[MODEL][:10]}, here it is"
        f" {hashes[MODEL][:10]}",
    )
    assert find_difference(hashes, hashes, "") is None


def test_the_same_weights_with_another_scheduler_are_another_model(
    registry: ModelRegistry, random_models: Path, tmp_path: Path
) -> None:
    """How the JSON is laid out and the version that saved it count for nothing."""
    copy = tmp_path / "random"
    shutil.copytree(random_models / "random", copy)
    theirs = replace(registry, models_dirs=[tmp_path])
    config = copy / "scheduler" / "scheduler_config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "_diffusers_version": "0.1"}, indent=7))
    files = list_required_files(LoadTask("random"))
    here = hash_required_files(registry, files)
    assert hash_required_files(theirs, files) == here
    config.write_text(json.dumps({**values, "prediction_type": "v_prediction"}))
    found = find_difference(here, hash_required_files(theirs, files), "a")
    assert found is not None and found[0] == CONFIGURATION


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({"lora": (Lora("ink", 0.5),)}, "the LoRA ink"),
        ({"hypernet": (Hypernet("ink", 0.5),)}, "the hypernetwork ink"),
        ({"embedding": ("ink",)}, "the embedding ink"),
        ({"vae": "ink"}, "the VAE ink"),
        ({"text_encoder": "ink"}, "the text encoder ink"),
        ({"control_model": ("ink",)}, "the control model ink"),
        ({"image_prompt_model": "ink"}, "the image encoder of ink"),
        ({"decoder": "taesd"}, "the small decoder of random"),
    ],
)
def test_each_network_that_a_line_names_is_compared(
    registry: ModelRegistry, values: dict[str, Any], label: str
) -> None:
    (*_, last) = list_required_files(RenderTask(recipe(**values)))
    assert str(last) == label
    with pytest.raises(ModelError):  # none of them is there
        hash_required_files(registry, [last])


COMPARED = {
    *("model", "vae", "text_encoder", "decoder", "lora", "embedding", "hypernet"),
    *("control", "control_raw", "control_model", "image_prompt_model", "text_mask"),
    *("facetool", "upscaler"),
}
"""Fields that decide which files of the models folders a task reads."""
VALUES = {
    *("prompt", "negative", "steps", "seed", "width", "height", "cfg_scale", "sampler"),
    *("syntax", "wildcards", "template", "negative_template", "weighting", "clip_skip"),
    *("schedule", "cfg_rescale", "quantize", "engine", "threads", "cache", "fit"),
    *("control_mode", "strength", "invert_mask", "inpaint_replace", "mask_blur"),
    *("hires_fix", "outcrop", "out_direction", "embiggen", "embiggen_tiles"),
    *("embiggen_strength", "with_variations", "perlin", "threshold"),
    *("h_symmetry_time_pct", "v_symmetry_time_pct", "seamless", "seamless_axes", "freeu"),
    *("pag", "karras_max", "facetool_strength", "codeformer_fidelity", "upscale"),
    *("upscale_tile", "upscale_precision", "watermark"),
}
"""Fields that name no file."""


def test_every_file_that_a_recipe_names_is_compared_or_sent() -> None:
    """A new field belongs to one of the three."""
    names = {field.name for field in fields(Recipe)}
    assert names == COMPARED | VALUES | {*IMAGE_FILE_FIELDS}
    assert "control" in IMAGE_FILE_FIELDS and not VALUES & COMPARED
    everything = recipe(
        vae="x",
        text_encoder="x",
        decoder="taesd",
        lora=(Lora("x", 0.5),),
        embedding=("x",),
        hypernet=(Hypernet("x", 0.5),),
        control=tuple(Control(kind, "x") for kind in CONTROL_KINDS),
        control_model=("x",),
        image_prompt_model="x",
        text_mask=TextMask("x"),
        facetool="x",
        upscaler="x",
    )
    finish = FinishTask(Picture(Image.new("RGB", (64, 64)), everything), EMBIGGEN)
    required = list_required_files(finish)
    assert {file.kind for file in required} == {*HASHERS}
    seen = {file.name for file in required if file.kind == "vision model"}
    assert seen == {CLIPSEG.name, *(one.name for used in MAP_NETWORKS.values() for one in used)}
    raw = list_required_files(RenderTask(replace(everything, control_raw=True, text_mask=None)))
    assert not [file for file in raw if file.kind == "vision model"], "ready-made maps"


def test_networks_that_look_at_images_are_known_by_weights_and_configuration(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    def write(machine: str, weights: bytes, config: dict[str, object]) -> ModelRegistry:
        for name, kind in (("any name", "depth_anything"), ("dpt", "dpt")):
            folder = tmp_path / machine / name
            folder.mkdir(parents=True)
            (folder / "config.json").write_text(json.dumps({"model_type": kind, **config}))
            (folder / "model.safetensors").write_bytes(weights)
        depth = tmp_path / machine / "sd2-depth"
        depth.mkdir()
        return replace(registry, models_dirs=[tmp_path / machine])

    file = RequiredFile("vision model", MAP_NETWORKS["depth"][0].name)
    here = hash_required_files(write("here", b"1", {}), [file])
    same = hash_required_files(write("same", b"1", {"_name_or_path": "elsewhere"}), [file])
    assert here == same and len(here[file]) == 64
    assert here != hash_required_files(write("weights", b"2", {}), [file])
    assert here != hash_required_files(write("config", b"1", {"layers": 3}), [file])
    assert hash_required_files(registry, [file]) == {file: ""}, "would be downloaded"

    def estimator(machine: str, **values: Any) -> str:
        info = ModelInfo(name="m", path=tmp_path / machine / "sd2-depth", **values)
        dirs = [tmp_path / machine]
        there: Any = SimpleNamespace(models_dirs=dirs, get_model=lambda name: info)
        return HASHERS["depth estimator of"](there, "m")

    assert estimator("here", variant="depth") == estimator("same", variant="depth") != ""
    assert estimator("weights", variant="depth") != estimator("here", variant="depth")
    assert estimator("here") == "", "it has none"
    own = tmp_path / "here" / "sd2-depth" / "depth_estimator"
    shutil.copytree(tmp_path / "weights" / "dpt", own)
    assert estimator("here", variant="depth") == estimator("weights", variant="depth")


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2", "base"])
def test_a_model_in_several_files_is_known_by_its_tokenizers_too(tmp_path: Path, part: str) -> None:
    def configure(vocabulary: str, **values: Any) -> str:
        folder = tmp_path / "tokenizer"
        inner = folder if part != "base" else folder / "tokenizer"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / "vocab.json").write_text(vocabulary)
        parts = (PartFile(part=part, path=folder),)
        info = ModelInfo(name="m", path=tmp_path / "m.safetensors", parts=parts, **values)
        there: Any = SimpleNamespace(get_model=lambda name: info)
        return HASHERS["configuration of"](there, "m")

    first = configure('{"a": 1}')
    assert first == configure('{ "a": 1}') != configure('{"a": 2}')
    assert first != configure('{"a": 1}', scheduler=(("shift", 3.0),))
    assert first != configure('{"a": 1}', prediction="v_prediction")


def test_an_ip_adapter_is_known_with_its_encoder(registry: ModelRegistry, tmp_path: Path) -> None:
    from tests.random_image_prompts import random_encoder, write_encoder, write_ip_adapter

    adapter = RequiredFile("IP-Adapter", "ip")
    encoder = RequiredFile("image encoder of", "ip")
    there = replace(registry, models_dirs=[tmp_path])
    tables = {
        "image_proj": {
            "proj.weight": torch.zeros(4 * 32, 48),
            "proj.bias": torch.zeros(4 * 32),
            "norm.weight": torch.zeros(32),
            "norm.bias": torch.zeros(32),
        },
        "ip_adapter": {f"1.to_{x}_ip.weight": torch.zeros(32, 32) for x in "kv"},
    }
    write_ip_adapter(tables, tmp_path / "ipadapter" / "ip.safetensors")
    assert hash_required_files(there, [adapter, encoder])[encoder] == "", "would be downloaded"
    made = random_encoder()
    write_encoder(made, tmp_path / "clip_vision" / "any.safetensors")
    first = hash_required_files(there, [adapter, encoder])
    made.visual_projection.weight.data += 1
    write_encoder(made, tmp_path / "clip_vision" / "any.safetensors")
    again = hash_required_files(there, [adapter, encoder])
    assert first[adapter] == again[adapter] and len(first[adapter]) == 64
    assert first[encoder] != again[encoder]


def test_upscalers_that_would_be_downloaded_are_not_compared(
    registry: ModelRegistry, random_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "ink.safetensors").write_bytes(b"not read here")
    both = replace(registry, models_dirs=[random_models, tmp_path])
    lora = list_required_files(RenderTask(recipe(lora=(Lora("ink", 0.5),))))[-1]
    assert len(hash_required_files(both, [lora])[lora]) == 64
    upscaled = recipe(upscale=Upscale(2, 0.75), upscaler="realesr-general-x4v3")
    finish = FinishTask(Picture(Image.new("RGB", (64, 64)), upscaled), UPSCALE)
    (upscaler,) = list_required_files(finish)
    online = replace(registry, offline=False)
    assert hash_required_files(online, [upscaler])[upscaler] == ""


def test_input_images_arrive_and_the_image_names_them_as_the_line_did(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    Image.new("RGB", (64, 64), "red").save(here / "photo.PNG")
    path = str(here / "photo.PNG")
    task = RenderTask(recipe(init_img=path, strength=0.5, reference=(path, path)))
    files = read_input_files(task)
    assert list(files) == [path] and files[path] == (here / "photo.PNG").read_bytes()
    places = place_input_files(files, there)
    assert place_input_files(files, there) == places, "written once"
    moved = with_input_files(task, places)
    assert isinstance(moved, RenderTask) and moved.recipe.init_img is not None
    assert Path(moved.recipe.init_img).read_bytes() == files[path]
    assert moved.recipe.reference == (moved.recipe.init_img,) * 2
    back = {place: name for name, place in places.items()}
    image = Picture(Image.new("RGB", (64, 64)), moved.recipe)
    assert rename_input_files(image, back).recipe == task.recipe
    (here / "photo.PNG").unlink()
    with pytest.raises(InputError, match=r"photo\.PNG"):
        read_input_files(task)
