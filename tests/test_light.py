"""The process that a front door is in stays light, though a picture has come to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.random_models import make_random_model

ROOM = 60e6
"""Bytes of main memory. torch alone takes 300 million."""

DOORS = """
import json, sys
import psutil
from dream.cli.app import main
import dream

out, model = sys.argv[1:]
small = ["-s2", "-W64", "-H64", "-Ak_euler", "-S1", "--model", model, "-o", out]
found = {}

def look(door):
    heavy = [name for name in ("torch", "diffusers", "transformers") if name in sys.modules]
    found[door] = (heavy, psutil.Process().memory_info().rss)

assert main([*small, "a circle"]) == 0
look("shell")
with dream.open(outdir=out, model=model) as session:
    for _ in session.make("a square -s2 -W64 -H64 -Ak_euler -S2"):
        pass
    assert session.saved
look("Python")
print(json.dumps(found))
"""


def test_no_front_door_has_torch_after_a_picture(tmp_path: Path) -> None:
    model = make_random_model(tmp_path / "random")
    done = subprocess.run(
        [sys.executable, "-c", DOORS, str(tmp_path / "out"), str(model)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert {door: heavy for door, (heavy, _) in found.items()} == {"shell": [], "Python": []}
    assert all(room < ROOM for _, room in found.values()), found


BARE_START = """
import io, sys
before = set(sys.modules)
from dream.cli import app
import dream.terminal.prompt as door

class Keyboard(io.StringIO):
    isatty = lambda self: True

sys.stdin = Keyboard()
door.run_prompt = lambda *arguments: print(*sorted(set(sys.modules) - before)) or 0
assert app.main([]) == 0
"""
MOST_OF_OURS = 41
"""Modules of dream that a bare start imports before the prompt stands there."""
OTHERS = {"platformdirs", "prompt_toolkit", "wcwidth"}


def test_a_bare_start_imports_little_before_the_first_paint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BARE_START],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    names = done.stdout.split()
    ours = [name for name in names if name.split(".")[0] == "dream"]
    assert "dream.terminal.prompt" in ours
    assert len(ours) <= MOST_OF_OURS, ours
    assert not {"dream.line", "dream.core.bounded_reading", "dream.session"} & set(ours)
    known = {*sys.stdlib_module_names, *OTHERS, "dream"}
    assert {name.split(".")[0] for name in names} <= known
