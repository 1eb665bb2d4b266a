"""One workshop for each file of tests, so that a file can make its whole log again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import dream
from dream.session import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with dream.open(model="tiny", outdir=str(tmp_path_factory.mktemp("pictures"))) as session:
        session.preload()
        yield session
