"""What installs the project is true and in step: pyproject, constraints, conda, wheel."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import dream

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDS = {
    canonicalize_name(need.name): need
    for need in map(
        Requirement,
        [
            *PROJECT["project"]["dependencies"],
            *(n for needs in PROJECT["project"]["optional-dependencies"].values() for n in needs),
        ],
    )
}
GROUP = {canonicalize_name(Requirement(need).name) for need in PROJECT["dependency-groups"]["dev"]}
NAMED_OTHERWISE = {"PIL": "pillow", "cv2": "basicsr", "chafa": "chafa.py", "yaml": "pyyaml"}
"""OpenCV comes with basicsr, in the one or the other of its builds."""


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    found = [re.fullmatch(r"([\w.-]+)==([\w.!]+)", line) for line in pinned]
    assert all(found), "a line is something else than name==version"
    return {canonicalize_name(line[1]): line[2] for line in found if line}


def test_the_tested_versions_are_within_the_promised_ranges() -> None:
    tested = constraints()
    for name, need in NEEDS.items():
        assert name in tested, f"{name} has no tested version"
        assert need.specifier.contains(tested[name], prereleases=True), f"{need}: {tested[name]}"
    assert set(tested) >= GROUP


def test_what_is_imported_is_asked_for() -> None:
    imported = set()
    for module in (ROOT / "dream").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = imported - {"dream"} - sys.stdlib_module_names
    asked = {canonicalize_name(NAMED_OTHERWISE.get(name, name)) for name in foreign}
    assert asked <= set(NEEDS)


def test_conda_makes_the_same_environment() -> None:
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text(encoding="utf-8"))
    assert environment["name"] == "dream" and "dream" in PROJECT["project"]["scripts"]
    conda = {need for need in environment["dependencies"] if isinstance(need, str)}
    (python,) = (need.partition("=")[2] for need in conda if need.startswith("python="))
    assert python in SpecifierSet(PROJECT["project"]["requires-python"])
    (pip,) = (need["pip"] for need in environment["dependencies"] if isinstance(need, dict))
    assert "-e ." in pip, "pip installs this project, and so its dependencies"


def test_nothing_names_a_registry() -> None:
    for name in ("pyproject.toml", "constraints.txt", "environment.yaml", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"index|find-links|/simple|sha256:", text), name


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_carries_all_it_needs_and_nothing_else(installed: Path) -> None:
    assert {path.name for path in installed.iterdir()} == {
        "dream",
        f"dream_prompt-{dream.__version__}.dist-info",
    }
    shipped = installed / "dream" / "shipped"
    assert (shipped / "tiny" / "model_index.json").is_file()
    assert (shipped / "tiny-x4" / "tiny-x4.pth").is_file()
    assert (installed / "dream" / "py.typed").is_file()


def test_an_installed_wheel_finds_its_own_model(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dream", "--dry_run", "--json", "a red circle", "-S42"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed), "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert '"model": "tiny"' in done.stdout
    assert list(tmp_path.iterdir()) == [], "a dry run writes nothing"
