"""What a worker fetches: the libraries in it are forbidden the network, and dream is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.catalogue.auxiliary import CLIPSEG
from dream.options.text_mask import TextMask
from dream.worker import WorkerEngine
from tests.catalogue.hub_stub import Hub, hub_at_home
from tests.random_models import make_random_clipseg


def test_what_sees_is_fetched_by_a_real_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = make_random_clipseg(tmp_path / "there")
    files = {path.name: path.read_bytes() for path in there.iterdir()}
    models, image = tmp_path / "models", tmp_path / "image.png"
    models.mkdir()
    Image.new("RGB", (64, 64), "red").save(image)
    with hub_at_home(Hub(CLIPSEG.hub, files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        engine = WorkerEngine(ModelRegistry([models]))
        try:
            for _ in range(2):
                mask = tmp_path / "mask.png"
                list(engine.find_mask(image, TextMask("cat"), mask, tmp_path / "heat.png"))
                with Image.open(mask) as seen:
                    assert seen.size == (64, 64)
        finally:
            engine.close()
    assert (models / "clipseg-rd64-refined" / "config.json").is_file()
    assert sum(path.startswith("/api/") for path in hub.requests) == 1, "asked for once"
