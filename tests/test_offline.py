"""Offline is the normal case: a start, a render and an enlargement attempt not one connection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dream.catalogue.places import shipped_models

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


def test_no_process_attempts_a_connection(tmp_path: Path) -> None:
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    calls = tmp_path / "calls"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "watch"), str(ROOT)]),
        "CALLS": str(calls),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    line = ["a red circle", "-s1", "-U2", "--model=tiny", f"--models_dir={shipped_models()}"]
    done = subprocess.run(
        [sys.executable, "-m", "dream", *line, "-o", "pictures"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len([*(tmp_path / "pictures").glob("*.png")]) == 1
    watched = (tmp_path / "calls.watched").read_text().split()
    assert len(set(watched)) >= 2, "the prompt's process and the worker's"
    assert not calls.exists(), calls.read_text()
