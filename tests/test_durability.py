"""The whole program, killed, doubled and starved: what was finished stays whole.

The gallery's own tests do this at every single call to the disk; here are the program, its worker
and a model that has learnt nothing.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.kill_rounds import ROOT, Batch, run_rounds
from tests.gallery.checks import sound
from tests.random_models import make_random_model

if sys.platform == "win32":
    pytest.skip("sends POSIX signals and sets POSIX limits", allow_module_level=True)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Launch options for a model that needs no time to speak of."""
    model = make_random_model(tmp_path_factory.mktemp("models") / "random")
    return ["--model", str(model), "-s4", "-W64", "-H64", "-Ak_euler"]


def test_killed_at_random_moments(tmp_path: Path, options: list[str]) -> None:
    findings = run_rounds(Batch(tmp_path, 12, options), 3, random.Random(7))
    assert findings.rounds.total() == 3


def test_two_programs_at_once_in_one_folder(tmp_path: Path, options: list[str]) -> None:
    batches = [Batch(tmp_path, 20, options, first) for first in (1, 1001)]
    programs = [batch.start() for batch in batches]
    for program in programs:
        assert program.wait() == 0, program.stderr()
    assert batches[0].made() == [*range(1, 21), *range(1001, 1021)]
    log = batches[0].outdir / "dream_log.txt"
    assert len(log.read_text(encoding="utf-8").splitlines()) == 40
    sound(batches[0].outdir)


def test_a_full_disk(tmp_path: Path, options: list[str]) -> None:
    # No file may pass 6000 bytes: no room for a picture of noise, but for the few lines of
    # Python that an older torch writes while it is imported.
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000));"
        "from dream.cli.app import main; sys.exit(main())"
    )
    lines = "a red circle -S1\na red circle -S2\n"
    done = subprocess.run(
        [sys.executable, "-c", limited, "--outdir", str(tmp_path / "out"), *options],
        input=lines,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    failed = [line for line in done.stderr.splitlines() if "exceed the file size limit" in line]
    assert len(failed) == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    sound(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
