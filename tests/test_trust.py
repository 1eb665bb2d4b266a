"""What a folder that somebody else made may have dream do, and what it is asked about."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dream.config.folder_notice import describe_folder_settings
from dream.line import parse_argv
from tests.fakes import fake_registry
from tests.test_app import run  # noqa: F401 - a fixture

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path.parent / f"{tmp_path.name}-state"))


def elsewhere(tmp_path: Path) -> Path:
    return tmp_path.parent / f"{tmp_path.name}-elsewhere"


def typed(monkeypatch: pytest.MonkeyPatch, run: Run, answer: str, *argv: str) -> tuple[int, str]:  # noqa: F811
    """Run with a person before a terminal who answers so, after what they typed before."""
    ours, theirs = pty.openpty()
    asked: list[str] = []

    class Typed:
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return theirs

        def readline(self) -> str:
            asked.append(answer)
            return f"{answer}\n"

    class Shown:
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            asked.append(text)
            return len(text)

        def flush(self) -> None:
            pass

    try:
        from dream.cli import app
        from dream.config.settings_file import find_settings_files

        monkeypatch.setattr(sys, "stdin", Typed())
        monkeypatch.setattr(sys, "stderr", Shown())
        options = parse_argv(argv)[:2]
        try:
            app._confirm_outside_settings(options, find_settings_files())
        except app.BadSetting:
            return 2, "".join(asked)
        return 0, "".join(asked)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("way", ["outdir", "models_dir", "link", "link above"])
def test_what_leads_out_of_the_folder_is_asked_once(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    other = elsewhere(tmp_path)
    other.mkdir()
    if way == "link":
        (tmp_path / "outputs").mkdir()
        (tmp_path / "outputs" / "img-samples").symlink_to(other)
    elif way == "link above":
        (tmp_path / "outputs").symlink_to(other)
    else:
        (tmp_path / "dream.toml").write_text(f"{way} = {str(other)!r}\n")
    status, out, err = run("a cat", "-s1")
    assert (status, out) == (2, "") and "outside this folder" in err and str(other) in err
    assert list(other.iterdir()) == []
    assert run("--dry_run", "a cat")[0] == 0, "it writes nothing"
    option = "--models_dir=." if way == "models_dir" else "-ohere"
    assert run("a cat", "-s1", option)[0] == 0, "the person said where"
    for answer in ("n", "", "what?"):
        status, shown = typed(monkeypatch, run, answer)
        assert status == 2 and "Allow it? (y/n)" in shown
    assert typed(monkeypatch, run, "y")[0] == 0
    assert typed(monkeypatch, run, "n") == (0, ""), "it is remembered"


def test_inside_the_folder_and_in_the_user_s_own_file_all_is_allowed(
    run: Run,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "dream.toml").write_text("outdir = 'pictures'\nsteps = 2\n")
    status, out, err = run("a cat")
    assert status == 0 and out.startswith("pictures/")
    assert "settings from dream.toml in this folder: outdir, steps" in err
    (tmp_path / "dream.toml").unlink()
    own = tmp_path / "config" / "dream"
    own.mkdir(parents=True)
    (own / "dream.toml").write_text(f"outdir = {str(elsewhere(tmp_path))!r}\n")
    status, out, err = run("a cat", "-s1")
    assert status == 0 and out.startswith(str(elsewhere(tmp_path))) and "settings" not in err


def test_another_place_is_asked_about_again(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "dream.toml").write_text("outdir = '/tmp/one\x07'\n")
    assert run("a cat")[0] == 2, "no name has that"
    (tmp_path / "dream.toml").write_text("outdir = '../one'\n")
    assert typed(monkeypatch, run, "y")[0] == 0
    (tmp_path / "dream.toml").write_text("outdir = '../two'\n")
    assert typed(monkeypatch, run, "n")[0] == 2
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "dream.toml").write_text("outdir = '../../one'\n")
    monkeypatch.chdir(copied)
    assert typed(monkeypatch, run, "n")[0] == 2, "another folder"


def test_what_a_person_saves_is_allowed(
    run: Run,  # noqa: F811
    tmp_path: Path,
) -> None:
    from dream.commands import COMMANDS, Context, run_line
    from tests.fakes import fake_session

    session = fake_session(tmp_path)
    for line in (f"!set outdir {elsewhere(tmp_path)}", "!save_settings"):
        list(run_line(Context(session, list, COMMANDS), line))
    assert str(elsewhere(tmp_path)) in (tmp_path / "dream.toml").read_text()
    assert run("a cat", "-s1")[0] == 0


def test_models_that_stand_in_place_of_others_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    theirs = fake_registry(tmp_path / "models", "tiny", "only-here")
    ours = fake_registry(tmp_path / "shipped", "tiny", "other")
    registry = type(ours)((*theirs.models_dirs, *ours.models_dirs))
    (message,) = describe_folder_settings(registry)
    assert "tiny is " in message and "models/tiny" in message and "only-here" not in message
    (tmp_path / "models" / "models.toml").write_text("[models.other]\npath = 'only-here'\n")
    (message,) = describe_folder_settings(registry)
    assert "other is " in message and "models/only-here" in message
    assert describe_folder_settings(ours) == ()
