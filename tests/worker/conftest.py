from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dream.catalogue import Shelf
from dream.catalogue.places import shipped_models
from dream.worker import WorkerEngine, start
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
def shelf(random_models: Path) -> Shelf:
    return Shelf([random_models, shipped_models()])


@pytest.fixture(scope="module")
def engine(shelf: Shelf) -> Iterator[WorkerEngine]:
    """One worker for the whole module, for starting one takes ten seconds."""
    engine = WorkerEngine(shelf)
    engine.warm("random")
    yield engine
    engine.close()


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerEngine]:
    """Its worker is `fake_host`'s."""
    monkeypatch.setattr(start, "START", START)
    engine = WorkerEngine(Shelf([Path()]))
    yield engine
    engine.close()
