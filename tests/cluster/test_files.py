"""What a task needs, by content, and how its input images travel."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.cluster.input_files import (
    place_input_files,
    read_input_files,
    rename_input_files,
    with_input_files,
)
from dream.cluster.required_files import (
    RequiredFile,
    find_difference,
    hash_required_files,
    list_required_files,
)
from dream.core.errors import InputError, ModelError
from dream.core.picture import Picture
from dream.core.stages import UPSCALE
from dream.options.lora import Hypernet, Lora
from dream.options.option_type import Upscale
from dream.worker.protocol import ConvertTask, FinishTask, LoadTask, RenderTask
from tests.recipes import recipe

MODEL = RequiredFile("model", "random")
CONFIGURATION = RequiredFile("configuration of", "random")


def test_a_model_is_known_by_its_weights(registry: ModelRegistry) -> None:
    files = list_required_files(RenderTask(recipe()))
    assert files == list_required_files(LoadTask("random")) == (MODEL, CONFIGURATION)
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
