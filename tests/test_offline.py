"""Offline is the normal case: a start, a render and an enlargement attempt not one connection,
from the command line and at the prompt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dream.catalogue.model_dirs import get_shipped_models_dir

ROOT = Path(__file__).resolve().parents[1]

WATCH = """\
# Read by every Python process at its start, the worker's too: an audit hook cannot be undone.
import os, sys
def hook(event, arguments):
    # A socket of a family that leaves the machine; asyncio and the worker's pipe use others.
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
            return
        with open(os.environ["CALLS"], "a") as calls:
            print(os.getpid(), event, arguments, file=calls)
        raise OSError("no network here")
sys.addaudithook(hook)
with open(os.environ["CALLS"] + ".watched", "a") as watched:
    print(os.getpid(), file=watched)
"""


class Watch:
    """What the processes that are started with `env` attempt."""

    def __init__(self, folder: Path) -> None:
        (folder / "watch").mkdir()
        (folder / "watch" / "sitecustomize.py").write_text(WATCH)
        self._calls = folder / "calls"
        self.env = {
            "PYTHONPATH": os.pathsep.join([str(folder / "watch"), str(ROOT)]),
            "CALLS": str(self._calls),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def watched(self) -> set[int]:
        """The processes that were."""
        return set(map(int, self._calls.with_suffix(".watched").read_text().split()))

    def calls(self) -> str:
        """Each attempt to reach something, a line each."""
        return self._calls.read_text() if self._calls.exists() else ""


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    return Watch(tmp_path)


def test_words_on_the_command_line(watch: Watch, tmp_path: Path) -> None:
    line = [
        "a red circle",
        "-s1",
        "-U2",
        "--model=tiny",
        f"--models_dir={get_shipped_models_dir()}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "dream", *line, "-o", "pictures"],
        env={**os.environ, **watch.env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len([*(tmp_path / "pictures").glob("*.png")]) == 1
    assert len(watch.watched()) >= 2, "the prompt's process and the worker's"
    assert watch.calls() == ""


def test_a_session(watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start, look around, render, leave; and every process there was is watched."""
    pseudo = pytest.importorskip("tests.terminal.pseudo", reason="no pseudo-terminals on Windows")
    monkeypatch.setattr(pseudo, "PATIENCE", 300.0)  # torch is imported by the worker
    term = pseudo.Terminal("-m", "dream", "-o", str(tmp_path), columns=100, **watch.env)
    try:
        term.see_line("")
        term.send("!models\r")
        term.see("* tiny")
        term.send("a red circle --model tiny -s1 -S1 -U2\r")
        term.see("(-S1)")
        there = psutil.Process(term.child.pid)
        processes = {there.pid, *(child.pid for child in there.children(recursive=True))}
        term.send("q\r")
        assert term.end() == 0
    finally:
        term.close()
    assert len(processes) >= 2 and processes <= watch.watched()
    assert [path.name for path in tmp_path.glob("*.png")] == ["000001.1.png"]
    assert watch.calls() == ""
