"""The process that a front door is in stays light, though a picture has come to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from tests.catalogue.test_published_headers import bf16, write
from tests.comfyui_tree import write_comfyui_tree
from tests.commands.test_comfyui_tree import OTHER_FILES
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


START = """
import io, json, sys
import psutil
from dream.cli.session_factory import create_session
from dream.commands import COMMANDS, Context, run_line
from dream.commands.completions import LineCompletions
from dream.core.cli_options import CliOptions
from dream.core.events import Rejected
from dream.core.request import FLAGS, Request
from dream.terminal.greeting import create_screen, greet

class NoFiles:
    def find_values(self, completes, typed):
        return ()

models, out = sys.argv[1:]
with create_session(CliOptions(models_dir=models), Request(outdir=out)) as session:
    greet(session, create_screen(io.StringIO()))
    context = Context(session, tuple, COMMANDS)
    for command in ("!models", "!loras", "!embeddings", "!hypernets"):
        assert not any(isinstance(event, Rejected) for event in run_line(context, command))
    completions = LineCompletions(context, NoFiles())
    offered = {}
    for flag in FLAGS.values():
        line = f"a cat {flag.names[0]} "
        offered[flag.names[0]] = len(list(completions.complete_line(line, len(line))))
    assert offered["--control_model"] and offered["--model"] and offered["-ft"], offered
    process = psutil.Process()
    print(json.dumps([process.io_counters().read_chars, process.memory_info().rss]))
"""
MOST_READ = 30e6
"""Bytes, most of them of Python's modules. The pickled file below has 40 million, and all files of
weights have 200 billion."""


@pytest.mark.skipif(not hasattr(psutil.Process(), "io_counters"), reason="bytes are not counted")
def test_the_start_and_its_lists_read_no_weights_whole(tmp_path: Path) -> None:
    models = tmp_path / "ComfyUI"
    write_comfyui_tree(models, tensors=50)
    for folder, header in OTHER_FILES:
        place = models / "models" / folder / "canny.safetensors"
        place.parent.mkdir(exist_ok=True)
        write(place, header | bf16({"large": (1024, 1024, 1024)}))
    pickled = models / "models" / "checkpoints" / "old.ckpt"
    torch.save({"state_dict": {"x.weight": torch.zeros(10_000_000)}}, pickled)
    done = subprocess.run(
        [sys.executable, "-c", START, str(models), str(tmp_path / "out")],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    pickled.unlink()
    assert done.returncode == 0, done.stderr
    read, memory = json.loads(done.stdout.splitlines()[-1])
    assert read < MOST_READ and memory < 2 * ROOM, (read, memory)
