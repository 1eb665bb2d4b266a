from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def generator(random_models: Path) -> ImageGenerator:
    """In this process; it keeps its model from test to test."""
    return create_generator(ModelRegistry([random_models]).get_model)
