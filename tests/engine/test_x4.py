"""-U by diffusion, with random weights: everything but meaning."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.events import Loading
from dream.core.picture import Picture
from dream.core.stages import UPSCALE
from dream.engine import create_generator
from dream.engine.diffusion_upscaler import OVERLAP, TILE, DiffusionUpscaler, _tile_spans
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, Progress
from dream.options.option_type import Upscale
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import FinishTask
from tests.catalogue.hub_stub import Hub, hub_at_home
from tests.random_models import make_random_upscaler
from tests.recipes import recipe

RGB = np.random.default_rng(0).random((36, 30, 3), np.float32)


@pytest.fixture(scope="module")
def models(random_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_upscaler(tmp_path_factory.mktemp("models") / "upscalers" / "x4").parents[1]


@pytest.fixture(scope="module")
def enlarging(models: Path) -> ImageGenerator:
    return create_generator(ModelRegistry((models,)).get_model)


def diffusion(generator: ImageGenerator, models: Path, **changes: object) -> DiffusionUpscaler:
    info = ModelRegistry((models,)).get_upscaler("x4")
    return generator.load_upscaler(info, recipe(**({"steps": 2} | changes)), lambda reported: None)


def ignore(step: int, steps: int) -> None:
    pass


def test_four_times_as_large_and_the_same_again(enlarging: ImageGenerator, models: Path) -> None:
    first, again, seed, words = (
        diffusion(enlarging, models, **changes).upscale(RGB, 0, ignore)
        for changes in ({}, {}, {"seed": 1}, {"prompt": "a house"})
    )
    assert first.shape == (144, 120, 3) and 0 <= first.min() < first.max() <= 1
    assert np.array_equal(first, again)
    assert not np.array_equal(first, seed) and not np.array_equal(first, words)


def test_tiles_fade_into_each_other_and_each_step_is_told(
    enlarging: ImageGenerator, models: Path
) -> None:
    wide = np.random.default_rng(0).random((40, 104, 3), np.float32)
    reported: list[tuple[int, int]] = []
    made = diffusion(enlarging, models).upscale(wide, 64, lambda *at: reported.append(at))
    assert reported == [(n, 6) for n in range(1, 7)], "three tiles, two steps each"
    whole = diffusion(enlarging, models).upscale(wide, 0, ignore)
    assert np.abs(made - whole).mean() < 0.1, "they are cut from one noise"
    steps = np.abs(np.diff(made, axis=1)).mean((0, 2))
    assert steps.max() < 2 * np.median(steps), "no column is an edge"


def test_a_folder_that_only_says_it_enlarges_is_refused(
    random_models: Path, tmp_path: Path
) -> None:
    shutil.copytree(random_models / "random", tmp_path / "false")
    index = tmp_path / "false" / "model_index.json"
    document = json.loads(index.read_text())
    index.write_text(json.dumps({**document, "_class_name": "StableDiffusionUpscalePipeline"}))
    registry = ModelRegistry((tmp_path,))
    with pytest.raises(ModelError):
        create_generator(registry.get_model).load_upscaler(
            registry.get_upscaler("false"), recipe(), lambda reported: None
        )
    flat = make_random_upscaler(tmp_path / "flat")
    config = flat / "unet" / "config.json"
    config.write_text(config.read_text().replace('"in_channels": 7', '"in_channels": 4'))
    with pytest.raises(ModelError):
        create_generator(registry.get_model).load_upscaler(
            registry.get_upscaler("flat"), recipe(), lambda reported: None
        )


def test_it_ends_where_nobody_waits_for_it(enlarging: ImageGenerator, models: Path) -> None:
    def give_up(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    ready = diffusion(enlarging, models)
    with pytest.raises(KeyboardInterrupt):
        ready.upscale(RGB, 0, give_up)
    ready.upscale(RGB, 0, ignore)


@pytest.mark.parametrize("side", [8, 64, 72, 256, 264, 1000, 4096])
@pytest.mark.parametrize("most", [64, 136, TILE])
def test_spans_cover_a_side_and_overlap(side: int, most: int) -> None:
    spans = _tile_spans(side, most)
    assert (spans[0].start, spans[-1].stop) == (0, side)
    assert {span.stop - span.start for span in spans} == {min(side, most)}
    assert all(a.stop - b.start >= OVERLAP for a, b in pairwise(spans))


def test_a_picture_of_any_factor_through_the_workshop(models: Path) -> None:
    wanted = recipe(steps=2, upscale=Upscale(3, 0.5), upscaler="x4")
    picture = Picture(Image.fromarray((RGB * 255).astype(np.uint8)), wanted, {"weights": "abc"})
    reported: list[object] = []
    workshop = TaskExecutor(ModelRegistry((models,)), DeviceConfig())
    made = workshop.run(FinishTask(picture, UPSCALE), reported.append)
    assert made.image.size == (90, 108)
    assert made.facts.keys() == {"weights", "upscaler_weights"}
    assert reported == [Loading(model="x4"), Progress("upscale", 1, 2), Progress("upscale", 2, 2)]
    torch.manual_seed(1)
    assert workshop.run(FinishTask(picture, UPSCALE), reported.append).sha256 == made.sha256
    other = replace(picture, recipe=replace(wanted, seed=43))
    assert workshop.run(FinishTask(other, UPSCALE), reported.append).sha256 != made.sha256


def test_the_known_one_is_fetched_when_it_is_first_asked_for(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = models / "upscalers" / "x4"
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    wanted = recipe(steps=1, upscale=Upscale(4, 1), upscaler="x4-diffusion")
    picture = Picture(Image.new("RGB", (16, 16), "red"), wanted)
    reported: list[object] = []
    with hub_at_home(Hub("stabilityai/stable-diffusion-x4-upscaler", files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        workshop = TaskExecutor(ModelRegistry((tmp_path,)), DeviceConfig())
        made = workshop.run(FinishTask(picture, UPSCALE), reported.append)
    assert made.image.size == (64, 64)
    assert (tmp_path / "upscalers" / "x4-diffusion" / "model_index.json").is_file()
    fetched = [h for h in reported if isinstance(h, Progress) and h.stage == "fetch"]
    assert fetched[-1].step == fetched[-1].steps > 0
