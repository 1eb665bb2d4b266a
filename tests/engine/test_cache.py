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

from dream.catalogue import Shelf
from dream.engine import cache, memory, open_painter
from dream.engine.base import Machine
from dream.engine.cache import weigh
from dream.engine.painter import Painter
from dream.errors import ModelError, OutOfMemory
from dream.events import Loading
from tests import single_files
from tests.random_layouts import make_layout
from tests.recipes import recipe

GIB = 2**30


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, random_models: Path) -> Shelf:
    folder = tmp_path_factory.mktemp("three")
    for name, of in {"one": "random", "two": "random-v", "three": "random"}.items():
        (folder / name).symlink_to(random_models / of)
    return Shelf([folder])


def loaded(painter: Painter, *models: str) -> list[str]:
    """Load them in this order; those that had to be read from the disk."""
    told: list[Any] = []
    for model in models:
        painter.load(model, told.append)
    return [event.model for event in told if isinstance(event, Loading)]


def test_the_least_recently_used_leaves_first(three: Shelf) -> None:
    painter = open_painter(three.model)
    assert loaded(painter, "one", "two", "one", "three", "one") == ["one", "two", "three"]
    assert painter.loaded() == ("three", "one")
    assert loaded(painter, "two") == ["two"]
    assert painter.loaded() == ("one", "two")


def test_one_at_a_time_where_so_asked(three: Shelf) -> None:
    painter = open_painter(three.model, Machine(max_loaded_models=1))
    assert loaded(painter, "one", "two", "one") == ["one", "two", "one"]
    assert painter.loaded() == ("one",)


def test_switching_back_changes_no_pixel(three: Shelf) -> None:
    painter = open_painter(three.model)
    first = painter.paint(recipe(model="one"), lambda _: None)
    painter.paint(recipe(model="two"), lambda _: None)
    assert painter.paint(recipe(model="one"), lambda _: None).sha256 == first.sha256


def test_the_estimate_is_what_the_model_takes(three: Shelf) -> None:
    painter = open_painter(three.model)
    pipe = painter.load("one", lambda _: None).pipe
    takes = sum(
        tensor.nbytes
        for part in (pipe.unet, pipe.vae, pipe.text_encoder)
        for tensor in part.parameters()
    )
    weight = weigh(three.model("one"), "cpu", "auto")
    assert takes <= weight.weights <= 1.01 * takes
    assert weigh(three.model("one"), "cpu", "float16").weights == weight.weights // 2


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
    painter = open_painter(Shelf([tmp_path]).model)
    before = painter.paint(recipe(model="copy"), lambda _: None)
    (copy / "card.toml").write_text('description = "read for each picture anyway"')
    (copy / "README.md").write_text("for people")
    assert loaded(painter, "copy") == []
    change(copy)
    after = painter.paint(recipe(model="copy"), lambda _: None)
    fresh = open_painter(Shelf([tmp_path]).model).paint(recipe(model="copy"), lambda _: None)
    assert after.sha256 == fresh.sha256 != before.sha256
    assert after.facts == fresh.facts
    assert painter.loaded() == ("copy",), "the one from before has left"


def test_a_file_that_is_replaced_is_loaded_anew_and_so_is_what_its_yaml_says(
    tmp_path: Path,
) -> None:
    one, other = (single_files.original(make_layout("sd1", seed)) for seed in (0, 1))
    file = single_files.save(one, tmp_path / "one.safetensors")
    aside = single_files.save(other, tmp_path.with_suffix(".safetensors"))
    painter = open_painter(Shelf([tmp_path]).model)
    assert loaded(painter, "one", "one") == ["one"]
    first = painter.paint(recipe(model="one"), lambda _: None)
    aside.replace(file)
    second = painter.paint(recipe(model="one"), lambda _: None)
    assert second.facts["weights"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert second.sha256 != first.sha256
    file.with_suffix(".yaml").write_text("  linear_start: 0.00085\n  parameterization: v\n")
    assert loaded(painter, "one", "one") == ["one"]
    predicts = painter.load("one", lambda _: None).pipe.scheduler.config.prediction_type
    assert predicts == "v_prediction"


def _negated(path: Path) -> None:
    whole = load_file(path)
    save_file({name: -tensor for name, tensor in whole.items()}, path)


def _says(path: Path, **said: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | said))


def test_max_memory_counts_all_models(three: Shelf) -> None:
    size = weigh(three.model("one"), "cpu", "auto").weights / GIB
    roomy, tight = (
        open_painter(three.model, Machine(max_memory=times * size)) for times in (2.5, 1.5)
    )
    loaded(roomy, "one", "two")
    loaded(tight, "one", "two")
    assert (roomy.loaded(), tight.loaded()) == (("one", "two"), ("two",))
    with pytest.raises(OutOfMemory, match=r"one needs 0\.0 GiB in float32, but --max_memory is"):
        loaded(open_painter(three.model, Machine(max_memory=size / 2)), "one")


def test_room_is_made_before_loading_and_what_cannot_fit_is_refused_with_numbers(
    three: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = open_painter(three.model)
    loaded(painter, "one", "two")
    size = weigh(three.model("one"), "cpu", "auto").weights
    left = iter([size, size, 3 * size, 3 * size])
    monkeypatch.setattr(memory, "free", lambda device: next(left))
    assert loaded(painter, "three") == ["three"]
    assert painter.loaded() == ("two", "three") or painter.loaded() == ("three",)
    monkeypatch.setattr(memory, "free", lambda device: 100)
    monkeypatch.setattr(cache, "_GIB", 2**10)
    before = painter.loaded()
    painter_alone = open_painter(three.model)
    with pytest.raises(OutOfMemory, match=r"needs \d+\.\d GiB in float32, but 0\.1 GiB are free"):
        loaded(painter_alone, "one")
    assert painter.loaded() == before


def test_a_model_that_is_broken_leaves_the_others_where_they_are(
    three: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text('{"_class_name": "Nothing"}')
    painter = open_painter(Shelf([*three.models_dirs, tmp_path]).model)
    loaded(painter, "one")
    with pytest.raises(ModelError):
        loaded(painter, "broken")
    assert painter.loaded() == ("one",)
    assert loaded(painter, "one") == []


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    assert list(memory._left_by_cgroup(tmp_path)) == []
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert list(memory._left_by_cgroup(tmp_path)) == [450]
    (tmp_path / "memory.max").write_text("max\n")
    assert list(memory._left_by_cgroup(tmp_path)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="there memory in use is read from /proc")
def test_what_is_let_go_of_is_given_back_to_the_system() -> None:
    mine = psutil.Process()
    pieces = [torch.ones(2**14) for _ in range(2000)]  # 125 MiB, each too small for its own mapping
    above = torch.ones(2**14)
    before = mine.memory_info().rss
    del pieces
    memory.give_back_memory()
    assert before - mine.memory_info().rss > 100 * 2**20
    assert above.all()
