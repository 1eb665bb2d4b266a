"""`!control` in the worker: a real image becomes a real map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dream.catalogue import ModelRegistry
from dream.core.errors import GalleryError, InputError, ModelError
from dream.engine.interface import DeviceConfig
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import MakeControlMapTask


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> TaskExecutor:
    return TaskExecutor(
        ModelRegistry((tmp_path_factory.mktemp("models"),), offline=True), DeviceConfig()
    )


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    image = Image.new("RGB", (96, 64), "blue")
    ImageDraw.Draw(image).ellipse((30, 10, 70, 50), fill="red")
    image.save(tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


def test_the_map_has_the_size_of_the_image(executor: TaskExecutor, drawing: Path) -> None:
    target = drawing.with_name("map.png")
    executor.make_control_map(MakeControlMapTask("canny", drawing, target), print)
    with Image.open(target) as made:
        levels = np.asarray(made)
    assert levels.shape == (64, 96, 3) and 80 < (levels[..., 0] == 255).sum() < 200


def test_what_is_cut_out_has_its_outline_and_an_empty_map_is_said(
    executor: TaskExecutor, drawing: Path
) -> None:
    events: list[Any] = []
    target = drawing.with_name("map.png")
    image = Image.new("RGB", (96, 64), "blue")
    shape = Image.new("L", image.size)
    ImageDraw.Draw(shape).ellipse((30, 10, 70, 50), fill=255)
    image.putalpha(shape)
    image.save(drawing)
    executor.make_control_map(MakeControlMapTask("canny", drawing, target), events.append)
    with Image.open(target) as made:
        assert 80 < (np.asarray(made)[..., 0] == 255).sum() < 200
    assert not events
    Image.new("RGB", (96, 64), "blue").save(drawing)
    executor.make_control_map(MakeControlMapTask("softedge", drawing, target), events.append)
    assert [event.text for event in events] == [
        "softedge finds no edges in drawing.png, so its map is empty; the image has one colour"
    ]


def test_what_cannot_be_read_or_written_is_said(executor: TaskExecutor, drawing: Path) -> None:
    broken = drawing.with_name("broken.png")
    broken.write_bytes(b"no image")
    with pytest.raises(InputError):
        executor.make_control_map(MakeControlMapTask("canny", broken, broken), print)
    target = drawing.parent / "missing" / "map.png"
    with pytest.raises(GalleryError, match="cannot write"):
        executor.make_control_map(MakeControlMapTask("canny", drawing, target), print)
    with pytest.raises(ModelError):
        executor.make_control_map(MakeControlMapTask("depth", drawing, target), print)
