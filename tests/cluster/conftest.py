from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.cluster.ray_connection import connect, import_ray
from dream.core.errors import SetupError
from dream.engine.interface import DeviceConfig


@pytest.fixture(autouse=True, scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For the nodes too: caches and crash files out of the user's way."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        if importlib.util.find_spec("ray") is not None:
            import_ray(loopback=True)  # before any test imports it: Ray reads its token once
        yield


@pytest.fixture(scope="session")
def registry(random_models: Path) -> ModelRegistry:
    return ModelRegistry([random_models, get_shipped_models_dir()], offline=True)


@pytest.fixture(scope="session")
def ray(_environment: None) -> Iterator[Any]:
    """One cluster for all tests, which takes half a minute to start on a busy machine."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    module = import_ray(loopback=True)
    try:
        connect(module, "")
    except SetupError as error:
        pytest.skip(str(error))
    yield module
    with suppress(Exception):
        module.shutdown()


@pytest.fixture(scope="session")
def pool(ray: Any, registry: ModelRegistry) -> Iterator[Any]:
    """Two workers of it; importing torch in each takes longer than all their images."""
    from dream.cluster import open_ray_pool

    pool = open_ray_pool(registry, DeviceConfig(previews=True), count=2)
    yield pool
    pool.close()
