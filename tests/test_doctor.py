"""One page about an installation: what it says when all is well, and when something is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dream.cli import doctor
from dream.core.cli_options import CliOptions
from dream.core.request import Request
from dream.worker import device_probe as checkup
from dream.worker.device_probe import DeviceReport
from tests.fakes import fake_registry

WELL = DeviceReport(
    device="cpu", small="float32, for it is small", large="bfloat16, for it is large"
)


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliOptions:
    """Of a machine with one model, looked at in its own folder."""
    fake_registry(tmp_path / "models", "tiny", "mine")
    monkeypatch.chdir(tmp_path)
    return CliOptions(models_dir=str(tmp_path / "models"))


def page(
    monkeypatch: pytest.MonkeyPatch, launch: CliOptions, found: DeviceReport
) -> tuple[str, bool]:
    monkeypatch.setattr(doctor, "probe_device", lambda device, precision: found)
    return doctor.build_report(launch, Request(outdir="pictures"))


def test_a_page_when_all_is_well(monkeypatch: pytest.MonkeyPatch, launch: CliOptions) -> None:
    text, sound = page(monkeypatch, launch, WELL)
    assert sound
    for message in ("torch ", "mine ", "(the default)", "writable", "bfloat16, for", "no problems"):
        assert message in text
    (engines,) = (line for line in text.splitlines() if line.strip().startswith("--engine"))
    assert "torch" in engines
    assert max(map(len, text.splitlines())) < 200


def test_what_is_broken_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, launch: CliOptions
) -> None:
    text, sound = page(monkeypatch, launch, replace(WELL, broken=("no libGL: install it",)))
    assert not sound
    assert text.endswith("problems\n  no libGL: install it")


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch, launch: CliOptions) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package-here"))
    text, sound = page(monkeypatch, launch, WELL)
    assert not sound
    assert "no-such-package-here is not installed: pip install no-such-package-here" in text


def test_a_folder_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, launch: CliOptions, tmp_path: Path
) -> None:
    (tmp_path / "pictures").write_text("a file stands where the folder should be")
    text, sound = page(monkeypatch, launch, WELL)
    assert not sound
    assert f"{tmp_path / 'pictures'} is not writable" in text


def test_a_link_to_no_settings_is_named(
    monkeypatch: pytest.MonkeyPatch, launch: CliOptions, tmp_path: Path
) -> None:
    assert f"{tmp_path / 'dream.toml'}  (does not exist)" in page(monkeypatch, launch, WELL)[0]
    (tmp_path / "dream.toml").symlink_to("elsewhere.toml")
    text, _ = page(monkeypatch, launch, WELL)
    assert "dream.toml  (a link to elsewhere.toml, which does not exist)" in text


def test_no_model_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "find_models_dirs", lambda extra: (tmp_path,))
    text, sound = page(monkeypatch, CliOptions(), WELL)
    assert not sound
    assert f"there is no model in {tmp_path}" in text


def test_this_machine_in_a_process_of_its_own() -> None:
    found = checkup.probe_device("cpu", "float32")
    assert found.device == "cpu" and "as requested" in found.small
    assert found.broken == ()


def test_a_library_that_takes_its_process_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_START", "import os; os.abort()")
    (message,) = checkup.probe_device("auto", "auto").broken
    assert "status -6" in message


def test_a_broken_import_and_a_device_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A torchvision that does not match torch, as Python meets it: in the other process.
    (tmp_path / "torchvision.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {checkup._START}"
    monkeypatch.setattr(checkup, "_START", start)
    message = checkup.probe_device("cuda:99", "auto").broken
    assert any("torchvision does not match torch" in line for line in message)
    assert any("--device cuda:99" in line for line in message)
