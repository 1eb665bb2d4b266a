"""What a new process compiles before it imports torch: the pixels are the same whatever was
guessed."""

from __future__ import annotations

import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.model_options import ModelOptions
from dream.core.recipe import Recipe
from dream.engine.adapters.adapters import Adapters
from dream.engine.adapters.weight_merge import get_key
from dream.engine.backends import early_compile, openvino_runtime
from dream.engine.backends.early_compile import EarlyCompile, compile_first, describe_loras
from dream.engine.interface import DeviceConfig, find_by_path, keep_text_encoder
from dream.options.engine_table import OPENVINO, TORCH
from dream.options.lora import Lora
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import LoadTask, Preload, RenderTask, get_expected
from tests.engine.backends.starts import Starts, has_weights, render
from tests.recipes import recipe

pytestmark = pytest.mark.skipif(
    find_spec("openvino") is None, reason="the extra openvino is not installed"
)

LINE = recipe(steps=2, engine=OPENVINO)

ALONE = """
import sys
from pathlib import Path
from dream.catalogue import ModelRegistry
from dream.engine.backends.converted_networks import ConvertedNetworks
from dream.engine.backends.early_compile import compile_first
from dream.engine.interface import DeviceConfig, find_by_path, keep_text_encoder
from tests.recipes import recipe
import dream.worker.server

models, networks = map(Path, sys.argv[1:])
early = compile_first(
    recipe(steps=2, engine="openvino"),
    DeviceConfig(),
    ModelRegistry([models]).get_model,
    find_by_path,
    keep_text_encoder,
    ConvertedNetworks(networks),
)
early._compiled.result()
print([name for name in ("torch", "diffusers", "transformers") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, random_models: Path) -> Starts:
    return Starts(tmp_path_factory.mktemp("starts"), random_models)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of the first input of each network that is compiled."""
    found: list[tuple[int, ...]] = []
    compile_it = openvino_runtime.compile_network

    def watch(xml: Path, shapes: Any, *rest: Any) -> Any:
        found.append(tuple(shapes[0]))
        return compile_it(xml, shapes, *rest)

    for module in (openvino_runtime, early_compile):
        monkeypatch.setattr(module, "compile_network", watch)
    return found


def begin(shared: Starts, expected: Recipe) -> EarlyCompile | None:
    find = ModelRegistry([shared.models]).get_model
    given = DeviceConfig(), find, find_by_path, keep_text_encoder, shared.networks
    return compile_first(expected, *given)


def test_it_needs_neither_torch_nor_diffusers(shared: Starts) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(shared.models), str(shared.networks.folder)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_first_line_takes_it(shared: Starts, compiled: list[Any]) -> None:
    generator = shared.open()
    generator.engines.first = begin(shared, LINE)
    picture, notes = render(generator, engine=OPENVINO)
    assert picture.sha256 == shared.first.sha256 and notes == []
    assert len(compiled) == 2, "the denoiser once, and the VAE"
    assert not has_weights(generator)


@pytest.mark.parametrize("first", [{"width": 128}, {"cfg_scale": 1.0}, {"threads": 3}], ids=str)
def test_another_first_line_drops_it_without_a_word(
    shared: Starts, compiled: list[Any], first: dict[str, Any]
) -> None:
    wanted, _ = render(shared.open(), engine=OPENVINO, **first)
    compiled.clear()
    generator = shared.open()
    generator.engines.first = begin(shared, LINE)
    picture, notes = render(generator, engine=OPENVINO, **first)
    assert picture.sha256 == wanted.sha256 and notes == []
    assert len(compiled) == 3 and generator.engines.first is None
    picture, _ = render(generator, engine=TORCH)
    assert picture.sha256 == shared.plain.sha256 and has_weights(generator)


def test_another_number_of_threads_than_the_last_time_is_not_taken(
    shared: Starts, compiled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = shared.open()
    generator.engines.first = begin(shared, LINE)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)  # as OMP_NUM_THREADS of another session
    try:
        render(generator, engine=OPENVINO)
    finally:
        torch.set_num_threads(before)
    assert len(compiled) == 3
    render(generator, engine=OPENVINO)
    assert len(compiled) == 5, "each number of threads has networks of its own"
    render(shared.open(), engine=OPENVINO)  # and the last one is remembered


def test_a_model_that_is_loaded_instead_has_its_memory(shared: Starts) -> None:
    generator = shared.open()
    generator.load_for(LINE, lambda event: None)
    early = generator.engines._early
    assert early is not None
    compiled = weakref.ref(early)
    del early
    with pytest.raises(ModelError):
        generator.load("gone", lambda event: None)
    assert compiled() is not None, "nothing else was loaded"
    generator.load("random", lambda event: None, ModelOptions(quantize="int8"))
    assert compiled() is None


@pytest.mark.parametrize(
    "unknown",
    [{"engine": TORCH}, {"engine": None}, {"freeu": True}, {"width": 192}, {"lora": (Lora("x"),)}],
    ids=str,
)
def test_nothing_is_begun_for_what_openvino_does_not_compute(
    shared: Starts, unknown: dict[str, Any]
) -> None:
    assert begin(shared, recipe(**{"engine": OPENVINO} | unknown)) is None


def test_nothing_is_begun_where_the_model_would_not_fit_beside_it(
    shared: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_compile, "measure_free_host_memory", lambda: 10**6)
    assert begin(shared, LINE) is None


def test_a_worker_expects_what_it_is_asked_for(
    shared: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line, a prompt that waits for one, and a line of a log, whose model is looked at first."""
    folder = "dream.engine.backends.converted_networks.get_engines_dir"
    monkeypatch.setattr(folder, lambda: shared.networks.folder.parent)
    given = ModelRegistry([shared.models]), DeviceConfig()
    before = LoadTask("random", recipe=LINE)
    for task in (RenderTask(LINE), Preload(before).task, LoadTask("random", "0" * 8, recipe=LINE)):
        executor = TaskExecutor(*given, get_expected(task))
        assert executor._generator.engines.first is not None
    executor.load(before, lambda event: None)
    assert executor._generator.engines.first is None and not has_weights(executor._generator)
    picture = executor.run(RenderTask(LINE), lambda event: None)
    assert picture.sha256 == shared.first.sha256 and not has_weights(executor._generator)
    executor.load(LoadTask("random"), lambda event: None)
    assert has_weights(executor._generator)


def test_a_worker_starts_whatever_is_wrong_with_what_it_expects(shared: Starts) -> None:
    gone = recipe(model="gone", engine=OPENVINO)
    executor = TaskExecutor(ModelRegistry([shared.models]), DeviceConfig(), gone)
    assert executor._generator.engines.first is None


def test_loras_are_described_without_opening_them(shared: Starts) -> None:
    name = str(shared.lora)
    line = recipe(lora=(Lora(name, 0.8), Lora(name, 0.0), Lora(name, 0.5)))
    opened = Adapters(find_by_path).open_loras(line)
    assert describe_loras(line, find_by_path) == get_key(opened) and len(get_key(opened)) == 2
