"""Adapters that learnt something (`training.train_adapters`), seen in the pixels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dream
from dream.gallery import read_record
from dream.session import Session
from tests.shipped.render import make_one, pixels
from training.train_adapters import TEAL

DATA = Path(__file__).parents[1] / "data"
CIRCLE = '"a red circle on a white background" -S3 -W192 -H192'


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    models = tmp_path_factory.mktemp("adapters")
    for kind in ("loras", "embeddings"):
        shutil.copytree(DATA / kind, models / kind)
    outdir = str(tmp_path_factory.mktemp("images"))
    with dream.open(model="tiny", models_dir=str(models), outdir=outdir) as session:
        session.preload()
        yield session


def warmth(path: Path) -> float:
    """How much more red than blue there is."""
    image = pixels(path)
    return float((image[..., 0] - image[..., 2]).mean())


def test_a_lora_shows_and_its_negative_is_the_opposite(session: Session) -> None:
    """It learnt the light of a late afternoon: warm at 1, cold at -1."""
    plain = make_one(session, CIRCLE)
    images = [make_one(session, f"{CIRCLE} --lora warm:{weight}") for weight in (-1, 0, 1)]
    cold, zero, warm = (warmth(saved.path) for saved in images)
    assert cold + 20 < zero < warm - 40
    assert images[1].sha256 == plain.sha256
    assert make_one(session, CIRCLE).sha256 == plain.sha256, "the weights are the model's again"
    facts = read_record(images[2].path).facts
    assert facts["lora warm"].startswith(facts["lora"])


def share_of_teal(path: Path) -> float:
    """How many pixels differ from the colour that it learnt by at most 32, of 255."""
    differences = abs(pixels(path) - np.array(TEAL, np.float32))
    return float((differences.max(-1) <= 32).mean())


def test_an_embedding_paints_the_colour_that_it_learnt(session: Session) -> None:
    """However it is called. The model's own words for colours near it do not."""
    line = '"a {} square on a yellow background" -S3 -s8 -W128 -H128'
    for word in ("teal", "<teal>", "(embedding:teal)1.1"):
        saved = make_one(session, line.format(word))
        assert share_of_teal(saved.path) > 0.12, word
        assert "--embedding=teal" in saved.line
    for word in ("green", "cyan"):
        assert share_of_teal(make_one(session, line.format(word)).path) < 0.02, word
