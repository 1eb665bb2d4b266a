"""The program with the shipped model and its worker, on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("pty", reason="there are no pseudo-terminals on Windows")

from tests.terminal import pseudo
from tests.terminal.test_pty import is_as_before


@pytest.fixture
def dream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pseudo.Terminal]:
    monkeypatch.setattr(pseudo, "PATIENCE", 300.0)  # torch is imported by each worker
    term = pseudo.Terminal("-m", "dream", "-o", str(tmp_path), "--preview", "off", columns=100)
    yield term
    term.close()


def test_a_session_that_types_cancels_and_loses_its_worker(
    dream: pseudo.Terminal, tmp_path: Path
) -> None:
    dream.see_line("")
    dream.send("a red circle on blue -s500 -S1\r")
    dream.send("a green square -s2 -S2\r")
    dream.see("1 waiting")
    dream.see("render ")
    dream.send("half a thought")
    dream.see_line("half a thought")
    dream.send("\x03")
    dream.see_line("")
    dream.send("\x03")
    dream.see("cancelled")
    dream.see("(-S2)")
    dream.send("\x15a red circle -s400 -S3\r")
    dream.see("render ")
    (worker,) = psutil.Process(dream.child.pid).children()
    worker.kill()
    dream.see("the worker died (signal 9)")
    dream.see_line("")
    dream.send("\x03")
    dream.until(lambda: sum("cancelled" in row for row in dream.rows()) == 2, "cancelled")
    program = psutil.Process(dream.child.pid)
    assert program.memory_info().rss < 70e6  # measured 57 to 61 MB; torch alone would be 300
    if psutil.LINUX:
        assert not [part.path for part in program.memory_maps() if "torch" in part.path]
    dream.send("q\r")
    assert dream.end() == 0
    assert is_as_before(dream)
    assert [path.name for path in tmp_path.glob("*.png")] == ["000001.2.png"]
