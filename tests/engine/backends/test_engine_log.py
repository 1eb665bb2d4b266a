"""A log line whose engine is not on this machine: it is named, and nothing is rendered."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.cli.batch import EventPrinter, run
from dream.core.events import Failed, Rejected, Saved, Verified
from dream.core.interrupts import Interrupts
from dream.core.request import Request
from dream.options.engine_table import OPENVINO
from dream.session import Session
from dream.worker import InProcessEngine

LACKS = "--engine openvino needs the package openvino, which is not installed"


def test_a_log_line_with_an_engine_that_is_not_here(
    random_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = ModelRegistry([random_models])
    base = Request(model="random", outdir=str(tmp_path), width=64, height=64, steps=2)
    session = Session(InProcessEngine(registry), registry, base, rng=random.Random(0))
    (plain,) = (event for event in session.make("a cat") if isinstance(event, Saved))
    log = tmp_path / "dream_log.txt"
    line = log.read_text(encoding="utf-8").rstrip()
    words, mark, facts = line.partition(" # ")
    of_openvino = f"{words} --engine={OPENVINO}{mark}{facts}"
    log.write_text(f"{of_openvino}\n{line}\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "openvino", None)  # it cannot be imported, nor found

    events = [*session.verify(log)]
    (rejected,) = (event for event in events if isinstance(event, Rejected))
    assert rejected.number == 1 and str(rejected.error).startswith(LACKS)
    assert "pip install" in (rejected.error.hint or "") and "--engine torch" in rejected.error.hint
    (verified,) = (event for event in events if isinstance(event, Verified))
    assert verified.same, "the next line is rendered by torch"

    with Interrupts() as interrupts:
        voice = EventPrinter(as_json=False, out=sys.stdout, err=sys.stderr)
        assert run(session.verify(log), voice, interrupts) == 2
    said = capsys.readouterr()
    assert LACKS in said.err and "1 same, 0 different, 1 failed" in said.out + said.err

    before = {*tmp_path.rglob("*")}
    (refused,) = (event for event in session.make(of_openvino) if isinstance(event, Failed))
    assert str(refused.error).startswith(LACKS)
    assert {*tmp_path.rglob("*")} == before and plain.path in before
    session.close()
