"""What the tests of several packages need: models to generate with."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("dream", deadline=None)  # other programs may use the processor
settings.load_profile("dream")

# One thread for each test process, and for the programs that it starts: there is a process for each
# core, and threads that wait for each other's turn took half of the suite's time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What dream remembers about its user is the tests' own, in the programs that they start too.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="dream-state-")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core for the whole suite; none for the tests that somebody names, which start
    sooner in this process."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if named else min(8, len(os.sched_getaffinity(0)))


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with `random` (epsilon) and `random-v` (v-prediction), which have learnt
    nothing; see `tests.random_models`."""
    from tests.random_models import make_random_model

    folder = tmp_path_factory.mktemp("models")
    make_random_model(folder / "random")
    make_random_model(folder / "random-v", "v_prediction")
    return folder
