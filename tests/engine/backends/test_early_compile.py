"""The second start with a converted network: it is compiled beside the loading of the model, and
torch's weights are copied when torch needs them; the pixels are the same whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.engine.backends import early_compile, openvino_runtime
from dream.engine.backends.network_files import BIN
from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.pipelines import load_model
from dream.options.engine_table import OPENVINO, TORCH
from dream.options.lora import Lora
from tests.engine.backends.starts import Starts, has_weights, render
from tests.recipes import recipe
from tests.single_files import carried, original, save

pytestmark = pytest.mark.skipif(
    find_spec("openvino") is None, reason="the extra openvino is not installed"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, random_models: Path) -> Starts:
    return Starts(tmp_path_factory.mktemp("starts"), random_models)


@pytest.fixture
def compiled_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The threads in which networks are compiled."""
    threads: list[str] = []
    compile_it = openvino_runtime.compile_network

    def watch(*given: Any) -> Any:
        threads.append(threading.current_thread().name.partition("_")[0])
        return compile_it(*given)

    for module in (openvino_runtime, early_compile):
        monkeypatch.setattr(module, "compile_network", watch)
    yield threads


def test_it_is_compiled_while_the_model_is_loaded_and_torchs_weights_are_not(
    shared: Starts, compiled_in: list[str]
) -> None:
    generator = shared.open()
    generator.load_for(recipe(steps=2, engine=OPENVINO), lambda event: None)  # as a worker does
    again, notes = render(generator, engine=OPENVINO)
    assert again.sha256 == shared.first.sha256 and notes == []
    assert compiled_in == ["compile", "MainThread"], "the denoiser, and the VAE when it is needed"
    assert not has_weights(generator)
    more, _ = render(generator, engine=OPENVINO)
    assert more.sha256 == again.sha256 and len(compiled_in) == 2 and not has_weights(generator)
    plain, _ = render(generator, engine=TORCH)
    assert plain.sha256 == shared.plain.sha256 and has_weights(generator)


@pytest.mark.parametrize(
    "change",
    [{"freeu": True}, {"pag": 3.0}, {"seamless": True}, {"lora": (Lora("lora", 0.8),)}],
    ids=str,
)
def test_a_line_that_needs_torchs_weights_gets_them(shared: Starts, change: dict[str, Any]) -> None:
    wanted, _ = render(shared.open(), engine=OPENVINO, **change)
    generator = shared.open()
    render(generator, engine=OPENVINO)
    assert not has_weights(generator)
    found, _ = render(generator, engine=OPENVINO, **change)
    assert found.sha256 == wanted.sha256 != shared.first.sha256


def test_with_a_cache_torch_computes_the_outer_layers(shared: Starts) -> None:
    settings: dict[str, Any] = {"steps": 6, "cache": 3, "engine": OPENVINO}
    first, _ = render(shared.open(), **settings)
    again, notes = render(shared.open(), **settings)
    assert again.sha256 == first.sha256 and notes == []


def test_another_size_begins_with_nothing_known(shared: Starts, compiled_in: list[str]) -> None:
    generator = shared.open()
    picture, _ = render(generator, engine=OPENVINO, width=128)
    assert compiled_in == ["MainThread"] * 2 and has_weights(generator)
    again, _ = render(shared.open(), engine=OPENVINO, width=128)
    assert compiled_in[2:] == ["compile", "MainThread"] and again.sha256 == picture.sha256
    after, _ = render(shared.open(), engine=OPENVINO)
    assert after.sha256 == shared.first.sha256, "both sizes are remembered"
    assert compiled_in[4:] == ["compile", "MainThread"]


def test_what_cannot_be_compiled_any_more_is_left_to_torch(
    shared: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("it is\ntoo old")

    generator = shared.open()
    for module in (openvino_runtime, early_compile):
        monkeypatch.setattr(module, "compile_network", refuse)
    picture, notes = render(generator, engine=OPENVINO)
    assert "OpenVINO cannot run the unet of random: too old; using torch for it" in notes
    assert picture.sha256 == shared.plain.sha256 and has_weights(generator)


def test_a_wrong_guess_costs_nothing_but_work(
    shared: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        def __init__(self, *_: Any) -> None: ...

        def take(self, *_: Any) -> None:
            """Another one is needed."""

    monkeypatch.setattr("dream.engine.backends.early_compile.EarlyCompile", Other)
    generator = shared.open()
    picture, notes = render(generator, engine=OPENVINO)
    assert picture.sha256 == shared.first.sha256 and notes == []


def test_a_damaged_network_is_converted_again(tmp_path: Path, random_models: Path) -> None:
    starts = Starts(tmp_path, random_models)
    for weights in starts.networks.folder.glob(f"*/{BIN}"):
        weights.write_bytes(b"")
    generator = starts.open()
    picture, notes = render(generator, engine=OPENVINO)
    assert len([note for note in notes if note.startswith("converting")]) == 2
    assert picture.sha256 == starts.first.sha256 and has_weights(generator)


def test_a_file_overwritten_before_its_weights_are_copied(
    tmp_path: Path, random_models: Path
) -> None:
    starts = Starts(tmp_path, random_models)
    generator = starts.open()
    (file,) = (starts.models / "random" / "unet").glob("*.safetensors")

    def overwrite(event: object) -> None:
        if type(event).__name__ == "Progress":
            file.write_bytes(file.read_bytes()[:-64] + bytes(64))

    with pytest.raises(ModelError, match="were overwritten while the image"):
        generator.generate(recipe(steps=2, engine=OPENVINO), overwrite)


@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
def test_late_weights_are_those_of_a_model_that_is_loaded_at_once(
    shared: Starts, tmp_path: Path, single: bool
) -> None:
    info = ModelInfo(name="random", path=shared.models / "random")
    if single:
        half = load_model(info, "cpu", "float16").pipe
        words = carried(half, info.path / "tokenizer")
        path = save(original(half), tmp_path / "one.safetensors", metadata=words)
        info = ModelInfo(name="one", path=path)
    at_once = load_model(info, "cpu", "float32").pipe.unet
    late = LateWeights()
    loaded = load_model(info, "cpu", "float32", late=late)
    unet = loaded.pipe.unet
    assert not late.is_complete and unet.mapped_bytes >= at_once.mapped_bytes
    late.complete()
    assert late.is_complete and unet.mapped_bytes == at_once.mapped_bytes
    for (name, mine), (_, other) in zip(
        unet.named_parameters(), at_once.named_parameters(), strict=True
    ):
        assert torch.equal(mine, other) and mine.stride() == other.stride(), name
