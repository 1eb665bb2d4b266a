from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.worker import WorkerEngine
from dream.worker import start_worker as start
from tests.worker.fake_host import START


@pytest.fixture(autouse=True, scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For the workers: one thread each, and caches and crash files out of the user's way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture(scope="session")
def registry(random_models: Path) -> ModelRegistry:
    return ModelRegistry([random_models, get_shipped_models_dir()])


@pytest.fixture(scope="module")
def engine(registry: ModelRegistry) -> Iterator[WorkerEngine]:
    """One worker for the whole module, for starting one takes ten seconds."""
    engine = WorkerEngine(registry)
    engine.preload("random")
    yield engine
    engine.close()


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerEngine]:
    """Its worker is `fake_host`'s."""
    monkeypatch.setattr(start, "START", START)
    engine = WorkerEngine(ModelRegistry([Path()]))
    yield engine
    engine.close()
