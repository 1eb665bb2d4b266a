"""Foreign bytes at every reader: refused in dream's words, in bounded time and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scripts.fuzz import READERS

CASES = 10_000
"""For each reader; `python -m scripts.fuzz` runs a million."""


@pytest.mark.parametrize("reader", [reader.name for reader in READERS])
def test_no_bytes_end_anything_but_their_own_reading(reader: str) -> None:
    """In a process of its own, whose memory is its readers' alone."""
    command = [sys.executable, "-m", "scripts.fuzz", "--cases", str(CASES), "--reader", reader]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
