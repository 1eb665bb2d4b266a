"""The same weights, as a folder and as a single file, give the same pixels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dream.catalogue.cards import ModelCard
from dream.engine.painter import Painter
from tests import single_files
from tests.random_layouts import LAYOUTS, make_layout
from tests.recipes import recipe

Pixels = np.ndarray


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("layouts")
    yield folder
    shutil.rmtree(folder)


def paint(path: Path, **changes: Any) -> Pixels:
    from dream.engine import open_painter

    painter: Painter = open_painter(lambda name: ModelCard(name=name, path=path))
    asked = recipe(model=path.name, steps=2, **changes)
    return np.asarray(painter.paint(asked, lambda happening: None).image)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_paints_as_its_folder_does(places: Path, layout: str) -> None:
    pipe = make_layout(layout)
    pipe.save_pretrained(places / layout)
    weights = single_files.with_ema(single_files.original(pipe))
    file = single_files.save(weights, places / f"{layout}.safetensors")
    if layout == "refiner":
        index = places / layout / "model_index.json"
        said = json.loads(index.read_text())
        said |= {
            "_class_name": "StableDiffusionXLImg2ImgPipeline",
            "requires_aesthetics_score": True,
        }
        index.write_text(json.dumps(said))
    by_folder = paint(places / layout)
    assert np.array_equal(paint(file), by_folder)
    assert by_folder.std() > 1, "it paints something"
