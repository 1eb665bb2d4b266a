"""Weights that wait in main memory: which way is chosen, and that it changes no pixel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dream.catalogue import ModelRegistry
from dream.core.events import Loading, Note
from dream.core.model_options import ModelOptions
from dream.engine import create_generator
from dream.engine.interface import DeviceConfig
from dream.engine.memory import low_memory as memory
from dream.engine.memory import offload
from dream.engine.memory.device import Placement
from dream.engine.memory.memory_estimate import estimate_memory
from dream.engine.memory.model_cache import ModelCache
from dream.engine.memory.offload import choose_mode
from dream.engine.silence_libraries import silence_libraries
from tests.recipes import recipe


@pytest.mark.parametrize(
    ("wanted", "device", "free", "way"),
    [
        ("auto", "cuda:0", 100, "off"),
        ("auto", "cuda:0", 99, "model"),
        ("auto", "cuda:0", 60, "model"),
        ("auto", "cuda:0", 59, "group"),
        ("off", "cuda:0", 1, "off"),
        ("sequential", "cuda:1", 1000, "sequential"),
        ("group", "cuda:0", 1000, "group"),
        ("auto", "cpu", 1, "off"),
        ("model", "cpu", 1, "off"),
        ("model", "mps", 1, "off"),
    ],
)
def test_the_way_is_chosen_by_what_is_free(wanted: str, device: str, free: int, way: str) -> None:
    assert choose_mode(wanted, device, need=100, largest=60, free=free) == way


@pytest.mark.parametrize(
    ("way", "quantize"), [("model", None), ("group", None), ("model", "int8"), ("group", "int8")]
)
def test_the_pixels_stay(
    random_models: Path, tmp_path: Path, way: str, quantize: str | None
) -> None:
    """With hooks that bring the weights from main memory to where they are, in each pipeline."""
    generator = create_generator(ModelRegistry([random_models]).get_model)
    first = recipe(steps=2, quantize=quantize)
    words = generator.generate(first, lambda reported: None)
    words.image.save(tmp_path / "first.png")
    from_it = replace(first, init_img=str(tmp_path / "first.png"), strength=0.9)
    other = generator.generate(from_it, lambda reported: None)
    with silence_libraries():
        loaded = generator.load("random", lambda reported: None, ModelOptions(quantize))
        offload.offload(loaded.pipe, way, "cpu")
    for _ in range(2):
        assert generator.generate(first, lambda reported: None).sha256 == words.sha256
        assert generator.generate(from_it, lambda reported: None).sha256 == other.sha256


class Pipe:
    """Writes down what is asked of it."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda **said: self.wanted.append((name, said))


def test_each_way_is_diffusers_own() -> None:
    pipe = Pipe()
    for way in offload.OFFLOAD_MODES:
        offload.offload(pipe, way, "cuda:1")
    names, said = zip(*pipe.wanted, strict=True)
    assert names == (
        "enable_model_cpu_offload",
        "enable_group_offload",
        "enable_sequential_cpu_offload",
    )
    assert said[0] == said[2] == {"device": "cuda:1"}
    assert str(said[1]["onload_device"]) == "cuda:1"
    assert said[1]["use_stream"]


def test_a_model_larger_than_the_gpu_comes_from_main_memory(
    random_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its weights count there, not on the GPU."""
    monkeypatch.setattr("dream.engine.memory.memory_estimate.choose_placement", _on_a_gpu)
    info = ModelRegistry([random_models]).get_model("random")
    weight = estimate_memory(info, "cuda:0", "float32")
    assert 0 < weight.largest < weight.weights
    monkeypatch.setattr(memory, "measure_free_memory", lambda device: weight.required_bytes - 1)
    reported: list[Any] = []
    moved = ModelCache(2, None).choose_offload("random", weight, "auto", reported.append)
    assert (moved.placement.offload_mode, moved.placement.storage_device) == ("model", "cpu")
    assert "needs 0.0 GiB, but cuda:0 has only 0.0 GiB; offloading" in reported[0].text
    stays = ModelCache(2, None).choose_offload("random", weight, "off", reported.append)
    assert (stays.placement.storage_device, len(reported)) == ("cuda:0", 1)


def _on_a_gpu(device: str, precision: str, parameters: int = 0) -> Any:
    return Placement("cuda:0", "float32", "as asked")


def test_without_a_gpu_it_is_said_once_that_there_is_nothing_to_gain(random_models: Path) -> None:
    generator = create_generator(
        ModelRegistry([random_models]).get_model, DeviceConfig(low_memory="model")
    )
    reported: list[Any] = []
    generator.load("random", reported.append)
    generator.load("random-v", reported.append)
    kinds = [type(event) for event in reported]
    assert kinds == [Loading, Note, Loading]
    assert "--low_memory model has no effect: on cpu" in reported[1].text
