"""Which models stay in memory, which leave, and what is refused; with real, random ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Loading
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.memory import low_memory as memory
from dream.engine.memory import model_cache as cache
from dream.engine.memory.host_memory import left_by_cgroup
from dream.engine.memory.memory_estimate import estimate_memory
from tests import single_files
from tests.random_layouts import make_layout
from tests.recipes import recipe

GIB = 2**30


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, random_models: Path) -> ModelRegistry:
    folder = tmp_path_factory.mktemp("three")
    for name, of in {"one": "random", "two": "random-v", "three": "random"}.items():
        (folder / name).symlink_to(random_models / of)
    return ModelRegistry([folder])


def loaded(generator: ImageGenerator, *models: str) -> list[str]:
    """Load them in this order; those that had to be read from the disk."""
    reported: list[Any] = []
    for model in models:
        generator.load(model, reported.append)
    return [event.model for event in reported if isinstance(event, Loading)]


def test_the_least_recently_used_leaves_first(three: ModelRegistry) -> None:
    generator = create_generator(three.get_model)
    assert loaded(generator, "one", "two", "one", "three", "one") == ["one", "two", "three"]
    assert generator.list_loaded() == ("three", "one")
    assert loaded(generator, "two") == ["two"]
    assert generator.list_loaded() == ("one", "two")


def test_one_at_a_time_where_so_asked(three: ModelRegistry) -> None:
    generator = create_generator(three.get_model, DeviceConfig(max_loaded_models=1))
    assert loaded(generator, "one", "two", "one") == ["one", "two", "one"]
    assert generator.list_loaded() == ("one",)


def test_switching_back_changes_no_pixel(three: ModelRegistry) -> None:
    generator = create_generator(three.get_model)
    first = generator.generate(recipe(model="one"), lambda _: None)
    generator.generate(recipe(model="two"), lambda _: None)
    assert generator.generate(recipe(model="one"), lambda _: None).sha256 == first.sha256


def test_the_estimate_is_what_the_model_takes(three: ModelRegistry) -> None:
    generator = create_generator(three.get_model)
    pipe = generator.load("one", lambda _: None).pipe
    takes = sum(
        tensor.nbytes
        for part in (pipe.unet, pipe.vae, pipe.text_encoder)
        for tensor in part.parameters()
    )
    weight = estimate_memory(three.get_model("one"), "cpu", "auto")
    assert takes <= weight.weights <= 1.01 * takes
    assert estimate_memory(three.get_model("one"), "cpu", "float16").weights == weight.weights // 2


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: _negated(folder / "unet" / "diffusion_pytorch_model.safetensors"),
        lambda folder: _says(folder / "vae" / "config.json", scaling_factor=0.5),
        lambda folder: _says(folder / "scheduler" / "scheduler_config.json", beta_end=0.02),
    ],
)
def test_a_model_that_changes_on_the_disk_is_loaded_anew(
    random_models: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    copy = Path(shutil.copytree(random_models / "random", tmp_path / "copy"))
    generator = create_generator(ModelRegistry([tmp_path]).get_model)
    before = generator.generate(recipe(model="copy"), lambda _: None)
    (copy / "card.toml").write_text('description = "read for each picture anyway"')
    (copy / "README.md").write_text("for people")
    assert loaded(generator, "copy") == []
    change(copy)
    after = generator.generate(recipe(model="copy"), lambda _: None)
    fresh = create_generator(ModelRegistry([tmp_path]).get_model).generate(
        recipe(model="copy"), lambda _: None
    )
    assert after.sha256 == fresh.sha256 != before.sha256
    assert after.facts == fresh.facts
    assert generator.list_loaded() == ("copy",), "the one from before has left"


def test_a_file_that_is_replaced_is_loaded_anew_and_so_is_what_its_yaml_says(
    tmp_path: Path,
) -> None:
    one, other = (single_files.original(make_layout("sd1", seed)) for seed in (0, 1))
    file = single_files.save(one, tmp_path / "one.safetensors")
    moved = single_files.save(other, tmp_path.with_suffix(".safetensors"))
    generator = create_generator(ModelRegistry([tmp_path]).get_model)
    assert loaded(generator, "one", "one") == ["one"]
    first = generator.generate(recipe(model="one"), lambda _: None)
    moved.replace(file)
    second = generator.generate(recipe(model="one"), lambda _: None)
    assert second.facts["weights"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert second.sha256 != first.sha256
    file.with_suffix(".yaml").write_text("  linear_start: 0.00085\n  parameterization: v\n")
    assert loaded(generator, "one", "one") == ["one"]
    predicts = generator.load("one", lambda _: None).pipe.scheduler.config.prediction_type
    assert predicts == "v_prediction"


def _negated(path: Path) -> None:
    whole = load_file(path)
    save_file({name: -tensor for name, tensor in whole.items()}, path)


def _says(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_max_memory_counts_all_models(three: ModelRegistry) -> None:
    size = estimate_memory(three.get_model("one"), "cpu", "auto").weights / GIB
    roomy, tight = (
        create_generator(three.get_model, DeviceConfig(max_memory=times * size))
        for times in (2.5, 1.5)
    )
    loaded(roomy, "one", "two")
    loaded(tight, "one", "two")
    assert (roomy.list_loaded(), tight.list_loaded()) == (("one", "two"), ("two",))
    with pytest.raises(OutOfMemory, match=r"one needs 0\.0 GiB in float32, but --max_memory is"):
        loaded(create_generator(three.get_model, DeviceConfig(max_memory=size / 2)), "one")


def test_room_is_made_before_loading_and_what_cannot_fit_is_refused_with_numbers(
    three: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = create_generator(three.get_model)
    loaded(generator, "one", "two")
    size = estimate_memory(three.get_model("one"), "cpu", "auto").weights
    left = iter([size, size, 3 * size, 3 * size])
    monkeypatch.setattr(memory, "measure_free_memory", lambda device: next(left))
    assert loaded(generator, "three") == ["three"]
    assert generator.list_loaded() == ("two", "three") or generator.list_loaded() == ("three",)
    monkeypatch.setattr(memory, "measure_free_memory", lambda device: 100)
    monkeypatch.setattr(cache, "_GIB", 2**10)
    before = generator.list_loaded()
    generator_alone = create_generator(three.get_model)
    with pytest.raises(
        OutOfMemory, match=r"needs \d+\.\d GiB in float32, but only 0\.1 GiB are free"
    ):
        loaded(generator_alone, "one")
    assert generator.list_loaded() == before


def test_a_model_that_is_broken_leaves_the_others_where_they_are(
    three: ModelRegistry, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text('{"_class_name": "Nothing"}')
    generator = create_generator(ModelRegistry([*three.models_dirs, tmp_path]).get_model)
    loaded(generator, "one")
    with pytest.raises(ModelError):
        loaded(generator, "broken")
    assert generator.list_loaded() == ("one",)
    assert loaded(generator, "one") == []


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    assert list(left_by_cgroup(tmp_path)) == []
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert list(left_by_cgroup(tmp_path)) == [450]
    (tmp_path / "memory.max").write_text("max\n")
    assert list(left_by_cgroup(tmp_path)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="there memory in use is read from /proc")
def test_what_is_let_go_of_is_given_back_to_the_system() -> None:
    mine = psutil.Process()
    pieces = [torch.ones(2**14) for _ in range(2000)]  # 125 MiB, each too small for its own mapping
    above = torch.ones(2**14)
    before = mine.memory_info().rss
    del pieces
    memory.free_memory()
    assert before - mine.memory_info().rss > 100 * 2**20
    assert above.all()
