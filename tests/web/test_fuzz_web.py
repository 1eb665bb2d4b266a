"""Made-up requests: a few of those of `python -m scripts.fuzz_web`."""

from __future__ import annotations

from pathlib import Path

from scripts.fuzz_web import fuzz


def test_every_answer_has_the_shape_of_its_door(tmp_path: Path) -> None:
    assert list(fuzz(tmp_path, 0, 300)) == []
