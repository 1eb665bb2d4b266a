"""The layers are what docs/architecture.md says."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dream
from scripts.names import measure_names
from scripts.reference import get_between

ROOT = Path(__file__).resolve().parents[1]
DRAWN = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MODULES = sorted((ROOT / "dream").rglob("*.py"))
OUTSIDE_LAYERS = ("__init__", "__main__")
"""The package itself: importable from everywhere, and it loads the rest only when called."""

MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 60
THE_TABLE = ROOT / "dream" / "core" / "request.py"
"""As long as there are switches; whoever looks for one looks there."""


def drawn(name: str) -> Iterator[list[str]]:
    """The words of each line of a table in the architecture page."""
    table = get_between(DRAWN, name).strip().strip("`").strip()
    for line in table.splitlines():
        yield re.split(r" {2,}", line)


LAYERS = {package: int(row[0]) for row in drawn("layers") for package in row[1].split()}
KNOWN_IN = {row[0]: set(row[1].split()) for row in drawn("packages")}


def package_of(module: Path) -> str:
    return module.relative_to(ROOT / "dream").with_suffix("").parts[0]


def imports(module: Path) -> Iterator[str]:
    """The full names of all that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_used(module: Path) -> set[str]:
    names = (name.split(".")[:2] for name in imports(module))
    return {name[-1] for name in names if name[0] == "dream" and name[-1] in LAYERS}


def test_every_package_has_a_layer() -> None:
    assert {package_of(module) for module in MODULES} - set(OUTSIDE_LAYERS) == set(LAYERS)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(module: Path) -> None:
    here = package_of(module)
    if here in OUTSIDE_LAYERS:
        return
    for other in packages_used(module) - {here}:
        ground = LAYERS[here] == LAYERS[other] == 0
        assert LAYERS[other] < LAYERS[here] or ground, f"{here} imports {other}"


def test_libraries_are_imported_only_where_the_page_says() -> None:
    for module in MODULES:
        for name in imports(module):
            package = name.partition(".")[0]
            assert package_of(module) in KNOWN_IN.get(package, {package_of(module)}), (
                f"{module}: {package}"
            )


def test_the_session_knows_the_engine_as_a_protocol_only() -> None:
    for module in (ROOT / "dream" / "session").glob("*.py"):
        engines = {name for name in imports(module) if name.startswith("dream.engine")}
        assert all(name.startswith("dream.engine.interface.") for name in engines), module


def loaded_by(statement: str) -> set[str]:
    """The top-level packages that a fresh Python has loaded after a statement."""
    code = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["dream.cli.app", "dream.cli.doctor", "dream.session", "dream.worker"]
)
def test_importing_the_front_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import {module}") & {*KNOWN_IN, "numpy", "scipy", "huggingface_hub"}


def test_python_users_do_not_load_the_prompt() -> None:
    assert "prompt_toolkit" not in loaded_by("import dream, dream.cli.app; dream.open")


def packages() -> list[str]:
    found = [module.parent for module in MODULES if module.name == "__init__.py"]
    return [".".join(folder.relative_to(ROOT).parts) for folder in found]


@pytest.mark.parametrize("package", packages())
def test_a_package_says_what_it_offers(package: str) -> None:
    opened = importlib.import_module(package)
    exported = getattr(opened, "__all__", None)
    imported = [name for name in imports(Path(str(opened.__file__))) if "__future__" not in name]
    own = [name for name in imported if name.startswith("dream.")]
    assert exported is not None or not own, "it imports names to offer, but has no __all__"
    for name in exported or ():
        assert hasattr(opened, name), f"{name} is offered but not there"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_written_fits_the_eye(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES or module == THE_TABLE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{node.name}: {lines} lines"


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{dream.__version__}]" in changelog or "## [Unreleased]" in changelog


def test_no_class_and_no_module_shares_its_name() -> None:
    assert measure_names(ROOT / "dream").repeated == {}
