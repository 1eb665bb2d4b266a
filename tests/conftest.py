"""What several rooms' tests need: models to paint with."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with `random` (epsilon) and `random-v` (v-prediction), which have learnt
    nothing; see `tests.random_models`."""
    from tests.random_models import make_random_model

    folder = tmp_path_factory.mktemp("models")
    make_random_model(folder / "random")
    make_random_model(folder / "random-v", "v_prediction")
    return folder
