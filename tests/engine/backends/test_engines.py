"""--engine: the same image with OpenVINO, within rounding, twice and across processes; and what
happens where it cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.backends import engines as module
from dream.engine.backends import openvino_core, openvino_runtime
from dream.engine.backends.comparison import measure_difference
from dream.engine.backends.converted_networks import ConvertedNetworks
from dream.engine.backends.engines import Engines
from dream.engine.backends.network_call import NetworkCall
from dream.engine.backends.network_files import BIN, INFO
from dream.engine.image_generator import ImageGenerator
from dream.options.engine_table import AUTO, COMPILE, ENGINES, OPENVINO, TORCH
from dream.options.lora import Lora
from dream.postprocess.network import UpscalerNetwork
from dream.postprocess.tiled_upscaler import TiledUpscaler
from tests.engine.adapters import files, layers
from tests.postprocess.conftest import compact, noise
from tests.recipes import recipe

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="the extra openvino is not installed"
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> ConvertedNetworks:
    """One folder for all tests, so that the model is converted once."""
    return ConvertedNetworks(tmp_path_factory.mktemp("engines") / "openvino")


@pytest.fixture(scope="module")
def generator(random_models: Path, networks: ConvertedNetworks) -> ImageGenerator:
    folder = networks.folder.parent
    generator = create_generator(
        ModelRegistry([random_models]).get_model,
        find_adapter=lambda kind, name: folder / f"{name}.safetensors",
    )
    generator.engines = Engines(networks)
    pipe = generator.load("random", lambda _: None).pipe
    parts = {
        ("unet", layer): layers.lora(files.weight_of(pipe, "unet", layer))[0]
        for layer, module in pipe.unet.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    files.write(folder / "lora.safetensors", pipe, parts)
    return generator


def render(generator: ImageGenerator, **changes: Any) -> tuple[Picture, list[str]]:
    notes: list[str] = []
    picture = generator.generate(
        recipe(**{"steps": 4} | changes),
        lambda event: notes.append(event.text) if isinstance(event, Note) else None,
    )
    return picture, notes


def difference(one: Picture, other: Picture) -> int:
    """Of 255, at most."""
    pixels = [np.asarray(picture.image).astype(int) for picture in (one, other)]
    return int(abs(pixels[0] - pixels[1]).max())


@needs_openvino
def test_openvino_renders_the_same_image_within_rounding(generator: ImageGenerator) -> None:
    plain, _ = render(generator)
    first, notes = render(generator, engine=OPENVINO)
    assert [note.split(" for ")[0] for note in notes] == [
        "converting the unet of random",
        "converting the VAE of random",
    ]
    again, notes = render(generator, engine=OPENVINO)
    assert notes == [] and again.sha256 == first.sha256
    assert difference(first, plain) <= 2
    assert first.recipe.engine == OPENVINO
    assert first.facts["engine"].startswith("openvino 20") and "unet, vae" in first.facts["engine"]
    after, _ = render(generator)
    assert after.sha256 == plain.sha256 and after.facts == plain.facts
    assert after.recipe.engine is None and "engine" not in plain.facts


@needs_openvino
def test_another_process_renders_the_same(
    generator: ImageGenerator, random_models: Path, networks: ConvertedNetworks, tmp_path: Path
) -> None:
    first, _ = render(generator, engine=OPENVINO, steps=2)
    cache = tmp_path / "cache" / "dream" / "engines"
    cache.mkdir(parents=True)
    (cache / "openvino").symlink_to(networks.folder)
    line = "a red circle -s2 -S42 -W64 -H64 -C5 -Addim --model=random --engine=openvino"
    done = subprocess.run(
        [sys.executable, "-m", "dream", line, f"--models_dir={random_models}", "-o", "out"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (logged,) = (tmp_path / "out" / "dream_log.txt").read_text().splitlines()
    assert "--engine=openvino" in logged and first.sha256[:16] in logged
    assert "converting" not in done.stdout + done.stderr


@needs_openvino
def test_loras_are_in_what_is_converted(generator: ImageGenerator) -> None:
    without, _ = render(generator, engine=OPENVINO)
    loras = (Lora("lora", 0.8),)
    plain, _ = render(generator, lora=loras)
    with_it, notes = render(generator, lora=loras, engine=OPENVINO)
    assert [note for note in notes if "unet" in note], "another network, converted once"
    assert difference(with_it, plain) <= 2 < difference(with_it, without)
    again, notes = render(generator, engine=OPENVINO)
    assert again.sha256 == without.sha256 and notes == []
    again, notes = render(generator, lora=loras, engine=OPENVINO)
    assert again.sha256 == with_it.sha256 and notes == []


@needs_openvino
@pytest.mark.parametrize("prompt", ["a red circle", "a red circle:2 a blue square:1"])
def test_full_passes_of_a_step_cache_are_computed_by_it(
    generator: ImageGenerator, prompt: str
) -> None:
    settings: dict[str, Any] = {"prompt": prompt, "steps": 6, "cache": 3}
    plain, _ = render(generator, **settings)
    first, notes = render(generator, **settings, engine=OPENVINO)
    assert not [note for note in notes if "cannot" in note or "ignored" in note]
    assert first.recipe.engine == OPENVINO and difference(first, plain) <= 2
    again, notes = render(generator, **settings, engine=OPENVINO)
    assert notes == [] and again.sha256 == first.sha256
    uncached, _ = render(generator, **settings | {"cache": None}, engine=OPENVINO)
    assert difference(first, uncached) > 2, "it is used"
    after, _ = render(generator, **settings)
    assert after.sha256 == plain.sha256


@needs_openvino
def test_upscalers_are_computed_too(networks: ConvertedNetworks) -> None:
    upscaler = TiledUpscaler(UpscalerNetwork(compact(), 4, 4), torch.device("cpu"))
    image = np.asarray(noise(80, 48), np.float32) / 255
    results = []
    notes: list[Any] = []
    engines = Engines(networks)
    for engine in (TORCH, OPENVINO, OPENVINO):
        with engines.use_upscaler(engine, "mine", upscaler.model, "0" * 64, notes.append):
            results.append(upscaler.upscale(image, 32, lambda tile, tiles: None))
    assert [note.text for note in notes] == ["converting mine for OpenVINO; this is done once"]
    assert abs(results[0] - results[1]).max() < 1e-4
    assert (results[1] == results[2]).all()
    assert "forward" not in vars(upscaler.model)


@pytest.mark.skipif(bool(ENGINES[COMPILE].find_missing()), reason="there is no C++ compiler")
def test_torch_compile_renders_the_same_image_within_rounding(generator: ImageGenerator) -> None:
    plain, _ = render(generator, steps=2)
    first, notes = render(generator, steps=2, engine=COMPILE)
    again, _ = render(generator, steps=2, engine=COMPILE)
    assert notes == [] and again.sha256 == first.sha256
    assert difference(first, plain) <= 2
    assert (first.recipe.engine, first.facts["engine"]) == (COMPILE, "torch.compile")
    after, _ = render(generator, steps=2)
    assert after.sha256 == plain.sha256


def test_what_torch_cannot_compile_is_left_to_it(
    generator: ImageGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("fatal error:\nno such header")

    row = ENGINES[COMPILE]._replace(find_missing=lambda: "")
    monkeypatch.setattr(module, "ENGINES", {**ENGINES, COMPILE: row})
    monkeypatch.setattr(torch, "compile", lambda call, **_: refuse)
    generator.load("random", lambda _: None).compiled.clear()
    plain, _ = render(generator, steps=2)
    picture, notes = render(generator, steps=2, engine=COMPILE)
    assert notes == [
        "torch.compile cannot run the unet of random: no such header; using torch for it"
    ]
    assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH
    generator.load("random", lambda _: None).compiled.clear()


@needs_openvino
def test_importing_openvino_does_not_import_its_telemetry() -> None:
    openvino_core.import_openvino()
    assert "openvino_telemetry" not in sys.modules
    assert "openvino.tools.ovc" not in sys.modules


@needs_openvino
@pytest.mark.parametrize("change", [{"freeu": True}, {"pag": 3.0}, {"seamless": True}], ids=str)
def test_what_openvino_does_not_support_is_left_to_torch(
    generator: ImageGenerator, change: dict[str, Any]
) -> None:
    name = next(iter(change))
    picture, notes = render(generator, engine=OPENVINO, **change)
    plain, _ = render(generator, **change)
    assert notes[:1] == [
        f"--engine openvino is ignored: OpenVINO does not support --{name}; using torch"
    ]
    assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH


@needs_openvino
def test_results_that_are_not_torchs_are_not_used(
    generator: ImageGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = render(generator, steps=2)
    answer = openvino_runtime.CompiledNetwork.__call__
    monkeypatch.setattr(
        openvino_runtime.CompiledNetwork,
        "__call__",
        lambda self, tensors: [found * 1.01 for found in answer(self, tensors)],
    )
    loaded = generator.load("random", lambda _: None)
    loaded.compiled.clear()
    monkeypatch.setattr(generator, "engines", Engines(ConvertedNetworks(tmp_path)))
    said = "OpenVINO cannot run the {} of random: its results are not close to torch's"
    for _ in range(2):  # the second time it is known
        picture, notes = render(generator, steps=2, engine=OPENVINO)
        for part in ("unet", "VAE"):
            assert [note for note in notes if note.startswith(said.format(part))]
        assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH
    loaded.compiled.clear()


@needs_openvino
def test_a_damaged_network_is_converted_again(
    generator: ImageGenerator, networks: ConvertedNetworks
) -> None:
    first, _ = render(generator, engine=OPENVINO)
    for weights in networks.folder.glob(f"*/{BIN}"):
        weights.write_bytes(b"")
    generator.load("random", lambda _: None).compiled.clear()
    again, notes = render(generator, engine=OPENVINO)
    assert len([note for note in notes if note.startswith("converting")]) == 2
    assert again.sha256 == first.sha256


@needs_openvino
def test_what_ended_the_process_is_compiled_for_variable_sizes_and_then_left_to_torch(
    generator: ImageGenerator, networks: ConvertedNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(generator, engine=OPENVINO, steps=2)
    plain, _ = render(generator, steps=2)
    loaded = generator.load("random", lambda _: None)
    seen: list[Any] = []
    compile_it = openvino_runtime.compile_network

    def watch(xml: Path, shapes: Any, *rest: Any) -> Any:
        seen.append(shapes)
        return compile_it(xml, shapes, *rest)

    monkeypatch.setattr(openvino_runtime, "compile_network", watch)
    every = [*networks.folder.glob(f"*/{INFO}")]  # `find` deletes what another test damaged
    before = {info: info.read_text() for info in every if networks.find(info.parent.name)}
    mark_crashes(networks, "{}")
    loaded.compiled.clear()
    picture, notes = render(generator, engine=OPENVINO, steps=2)
    assert (seen, notes) == ([None] * 2, []) and picture.recipe.engine == OPENVINO
    assert difference(picture, plain) <= 2
    mark_crashes(networks, "({}, 'variable')")
    loaded.compiled.clear()
    picture, notes = render(generator, engine=OPENVINO, steps=2)
    assert notes[0] == (
        "OpenVINO cannot run the unet of random: it ends the process; using torch for it"
    )
    assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH
    for info, text in before.items():
        info.write_text(text)
    loaded.compiled.clear()


@needs_openvino
def test_what_would_end_the_process_ends_another_one(
    generator: ImageGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "openvino"
    package.mkdir()
    (package / "__init__.py").write_text("import os\nos.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the processes in which networks are tried
    networks = ConvertedNetworks(tmp_path / "networks")
    monkeypatch.setattr(generator, "engines", Engines(networks))
    generator.load("random", lambda _: None).compiled.clear()
    plain, _ = render(generator, steps=2)
    picture, notes = render(generator, steps=2, engine=OPENVINO)
    said = "OpenVINO cannot run the {} of random: it ends the process; using torch for it"
    assert [said.format("unet"), said.format("VAE")] == [n for n in notes if "cannot" in n]
    assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH
    monkeypatch.delenv("PYTHONPATH")
    _, again = render(generator, steps=2, engine=OPENVINO)
    assert again == [said.format("unet"), said.format("VAE")], "it is not tried again"


@needs_openvino
def test_weights_in_bfloat16_that_are_channels_last_are_converted_as_they_are(
    tmp_path: Path,
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(64, 64, 3, padding=1) for _ in range(6)]
        image = torch.randn(1, 64, 8, 8, dtype=torch.bfloat16)
    module = torch.nn.Sequential(*layers).to(torch.bfloat16).to(memory_format=torch.channels_last)
    call = NetworkCall.of(module, (image,), {})
    openvino_runtime.convert(module, call, xml := tmp_path / "model.xml")
    network = openvino_runtime.CompiledNetwork.compile(xml, call.shapes, torch.bfloat16)
    with torch.no_grad():
        assert measure_difference(network([image])[0], module(image)) < 0.02


@needs_openvino
def test_what_cannot_be_converted_is_left_to_torch_and_remembered(
    generator: ImageGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("OpenVINO says:\nno such operation")

    monkeypatch.setattr(openvino_runtime, "convert", refuse)
    monkeypatch.setattr(generator, "engines", Engines(ConvertedNetworks(tmp_path)))
    generator.load("random", lambda _: None).compiled.clear()
    plain, _ = render(generator, steps=2)
    for attempt in range(2):
        picture, notes = render(generator, steps=2, engine=OPENVINO)
        assert sum(note.startswith("converting") for note in notes) == (0 if attempt else 2)
        assert (
            "OpenVINO cannot run the unet of random: no such operation; using torch for it" in notes
        )
        assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH


CRASHES = """
import os, sys
from pathlib import Path
from dream.catalogue import ModelRegistry
from dream.engine import create_generator
from dream.engine.backends import openvino_core, openvino_runtime
from dream.engine.backends.comparison import measure_difference
from dream.engine.backends.converted_networks import ConvertedNetworks
from dream.engine.backends.engines import Engines
from tests.recipes import recipe
openvino_runtime.convert = lambda *_: os._exit(57)
generator = create_generator(ModelRegistry([Path(sys.argv[1])]).get_model)
generator.engines = Engines(ConvertedNetworks(Path(sys.argv[2])))
generator.generate(recipe(steps=2, engine="openvino"), lambda event: None)
"""


@needs_openvino
def test_a_conversion_that_ended_the_process_is_not_tried_again(
    generator: ImageGenerator, random_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, random_models, tmp_path], cwd=root, capture_output=True
    )
    assert done.returncode == 57, done.stderr
    seen: list[Any] = []

    def refuse(network: Any, *_: Any) -> None:
        seen.append(network)
        raise RuntimeError("no such operation")

    monkeypatch.setattr(openvino_runtime, "convert", refuse)
    plain, _ = render(generator, steps=2)
    loaded = generator.load("random", lambda _: None)
    loaded.compiled.clear()
    for _ in range(2):
        monkeypatch.setattr(generator, "engines", Engines(ConvertedNetworks(tmp_path)))
        picture, notes = render(generator, steps=2, engine=OPENVINO)
        said = (
            "OpenVINO cannot run the unet of random: the process ended while OpenVINO"
            f" {openvino_core.get_version()} converted it (to try again, delete "
        )
        assert notes[0].startswith(said) and notes[0].endswith("); using torch for it")
        assert picture.sha256 == plain.sha256 and picture.recipe.engine == TORCH
    assert seen == [loaded.pipe.vae.decoder]
    loaded.compiled.clear()


@needs_openvino
def test_auto_converts_in_the_background_and_then_uses_what_it_has(
    random_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = create_generator(ModelRegistry([random_models]).get_model)
    generator.engines = Engines(ConvertedNetworks(tmp_path / "openvino"))
    plain, _ = render(generator)
    small, notes = render(generator, engine=AUTO)
    assert (small.sha256, small.recipe.engine, notes) == (plain.sha256, TORCH, [])
    assert not generator.engines.converter.is_running, "small models stay with torch"

    monkeypatch.setattr(module, "LARGE_MODEL", 1000)
    generator.load("random", lambda _: None).digest.result()
    first, notes = render(generator, engine=AUTO)
    assert (first.sha256, first.recipe.engine, notes) == (plain.sha256, TORCH, [])
    generator.engines.converter.wait()
    second, notes = render(generator, engine=AUTO)
    assert (second.recipe.engine, notes) == (OPENVINO, []) and "unet, vae" in second.facts["engine"]
    third, _ = render(generator, engine=OPENVINO)
    assert third.sha256 == second.sha256, "the log line of an image by auto makes it again"
    generator.unload()


def test_an_engine_that_is_not_here_is_named(
    generator: ImageGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {name: replace_missing(name, row) for name, row in ENGINES.items() if name != TORCH}
    monkeypatch.setattr(module, "ENGINES", {TORCH: ENGINES[TORCH], **rows})
    for name in rows:
        with pytest.raises(ModelError, match=f"--engine {name} needs something") as caught:
            render(generator, engine=name)
        assert "--engine torch" in (caught.value.hint or "")
    picture, notes = render(generator, engine=AUTO)
    assert picture.recipe.engine == TORCH and notes == []


def mark_crashes(networks: ConvertedNetworks, attempt: str) -> None:
    """What is known of processes that ended while they compiled: for all shapes known so far."""
    for info in networks.folder.glob(f"*/{INFO}"):
        network = networks.find(info.parent.name)
        assert network is not None
        for shapes in network.info.get("checked", {}):
            networks.set_tried(network, attempt.format(shapes), False)


def replace_missing(name: str, row: Any) -> Any:
    return row._replace(find_missing=lambda: "something")


def test_a_call_is_the_same_however_its_arguments_are_passed(generator: ImageGenerator) -> None:
    unet = generator.load("random", lambda _: None).pipe.unet
    sample, text = torch.zeros(2, 4, 8, 8), torch.zeros(2, 77, 32)
    one = NetworkCall.of(unet, (sample, 7), {"encoder_hidden_states": text, "return_dict": False})
    other = NetworkCall.of(
        unet,
        (),
        {"sample": sample, "timestep": 9, "encoder_hidden_states": text, "timestep_cond": None},
    )
    assert one.layout == other.layout and one.shapes == other.shapes
    assert [tensor.shape for tensor in one.tensors] == [sample.shape, (), text.shape]
    odd = NetworkCall.of(unet, (torch.zeros(2, 4, 9, 8), 7, text), {})
    assert odd.layout != one.layout
    more = NetworkCall.of(unet, (sample, 7, text), {"class_labels": torch.zeros(2)})
    assert more.layout != one.layout
    assert one.arguments(one.tensors)["sample"] is sample
