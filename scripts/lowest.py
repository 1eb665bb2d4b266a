"""The lower bounds in pyproject.toml, tested: a fresh environment with the lowest version of each
dependency that they allow, and the tests of the laws in it.

    python -m scripts.lowest                    # every law; takes as long as the tests
    python -m scripts.lowest tests/line         # what is named
    python -m scripts.lowest --keep DIR         # in DIR, which stays, for a second run to take

The environment is several gigabytes. Needs uv, and a network. Ends with pytest's exit status.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PROMISES = (
    "tests/line",
    "tests/gallery",
    "tests/queue",
    "tests/session",
    "tests/worker",
    "tests/catalogue",
    "tests/engine",
    "tests/postprocess",
    "tests/shipped",
    "tests/test_durability.py",
    "tests/test_frozen.py",
    "tests/test_layers.py",
)
"""See the table of promises in docs/architecture.md."""

_NO_TESTS = ("mypy", "ruff", "types-")
"""What the dev group has besides for other checks."""


def install(environment: Path) -> Path:
    """Make the environment, unless it is there. Returns its Python."""
    python = environment / "bin" / "python"
    if python.exists():
        return python
    environment.mkdir(parents=True, exist_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lowest = environment / "lowest.txt"
    lines = _uv(
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate", "pyproject.toml"),
        *("--resolution", "lowest-direct", "--python-version", version),
    ).splitlines()
    lowest.write_text("\n".join(lines))
    _uv("venv", "--quiet", "--allow-existing", "--python", version, str(environment))
    install = ("pip", "install", "--quiet", "--python", str(python))
    # basicsr is built without isolation: what its setup.py imports comes first.
    _uv(*install, *(line for line in lines if line.startswith(("setuptools=", "torch=", "numpy="))))
    _uv(*install, "--requirements", str(lowest))
    _uv(*install, "--constraints", str(lowest), *_for_tests())
    _uv(*install, "--no-deps", "--editable", ".")
    return python


def run(python: Path, tests: Sequence[str]) -> int:
    """The tests, and the versions they ran with. Returns pytest's exit status."""
    print(_uv("pip", "freeze", "--python", str(python)), flush=True)
    # Old versions warn of what is new; only here may they.
    options = ("-q", "-W", "default", "-p", "no:cacheprovider")
    return subprocess.run([str(python), "-m", "pytest", *options, *tests], cwd=ROOT).returncode


def _for_tests() -> list[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    return [line for line in groups["dev"] if not line.startswith(_NO_TESTS)]


def _uv(*words: str) -> str:
    """What uv prints."""
    elsewhere = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["uv", *words], cwd=ROOT, env=elsewhere, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"uv {' '.join(words[:2])} failed")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keep", type=Path, help="folder of the environment")
    parser.add_argument("tests", nargs="*", default=PROMISES)
    arguments = parser.parse_args()
    if arguments.keep is not None:
        return run(install(arguments.keep.absolute()), arguments.tests)
    with tempfile.TemporaryDirectory() as folder:
        return run(install(Path(folder) / "lowest"), arguments.tests)


if __name__ == "__main__":
    raise SystemExit(main())
