"""What an image's record tells of its model, when its line is made again with another one."""

from __future__ import annotations

import shutil
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.core.events import Event, Verified
from dream.core.request import Request
from dream.gallery import LOG_NAME
from dream.session import Session
from dream.worker.inprocess import InProcessEngine

LINE = "a red circle -s3 -S1 -W64 -H64 -C5 -Addim"


def test_verify_names_what_the_model_is_taken_to_predict(
    random_models: Path, tmp_path: Path
) -> None:
    """The weights are the same, and their hash tells nothing."""
    shutil.copytree(random_models / "random-v", tmp_path / "models" / "it")
    registry, out = ModelRegistry([tmp_path / "models"]), tmp_path / "out"
    with Session(
        InProcessEngine(registry), registry, Request(model="it", outdir=str(out))
    ) as session:
        list(session.make(LINE))
        assert _verified(list(session.verify(out / LOG_NAME))).same
        (tmp_path / "models" / "models.toml").write_text('[models.it]\nprediction = "epsilon"\n')
        verified = _verified(list(session.verify(out / LOG_NAME)))
    assert verified.differences["prediction"] == "epsilon, was v_prediction"
    assert verified.differences.keys() == {"picture", "prediction"}


def _verified(events: list[Event]) -> Verified:
    (event,) = [event for event in events if isinstance(event, Verified)]
    return event
