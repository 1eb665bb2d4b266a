"""Foreign bytes at every reader: refused in dream's words, in bounded time and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.fuzz import READERS
from scripts.fuzzing.runner import run

FOUND = (
    ("foreign records", 918_831),  # spaces without an end, in quadratic time
    ("foreign records", 977_269),
    ("pictures", 751_527),  # QOI, which Pillow decodes in Python
    ("png text", 909_163),  # a line of control characters alone
    ("png text", 913_627),
)
"""Cases of the seed 2026 that broke a promise, among a million for each reader."""
CASES = 10_000
"""For each reader; `python -m scripts.fuzz` runs a million."""


@pytest.mark.parametrize("reader", [reader.name for reader in READERS])
def test_no_bytes_end_anything_but_their_own_reading(reader: str) -> None:
    """In a process of its own, whose memory is its readers' alone."""
    command = [sys.executable, "-m", "scripts.fuzz", "--cases", str(CASES), "--reader", reader]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "case"), FOUND)
def test_what_a_million_found(name: str, case: int, tmp_path: Path) -> None:
    reader = next(reader for reader in READERS if reader.name == name)
    assert not list(run(reader, tmp_path, seed=2026, first=case, cases=1))
