"""Memory and descriptors of the prompt's process stay flat; `scripts.flat` is the long form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("kills workers by signals", allow_module_level=True)


def test_memory_and_descriptors_stay_flat() -> None:
    command = [sys.executable, "-m", "scripts.flat", "120", "6", "40", "20"]
    root = Path(__file__).parents[1]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("+0 descriptors") == 3, ran.stdout
