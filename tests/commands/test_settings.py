"""!set, !unset, !save_settings: what lines mean where they do not say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from dream.commands import COMMANDS, Context, TextOutput, run_line
from dream.config.settings_file import FILE, find_settings_files, read_settings, save_settings
from dream.core.cli_options import CliOptions
from dream.core.errors import BadSetting
from dream.core.events import Event, Note, Rejected
from dream.core.request import Request
from dream.options.option_type import Upscale
from dream.session import Session
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / "config")
    (tmp_path / "config").mkdir()
    return fake_session(tmp_path)


def events_of(session: Session, line: str) -> Event:
    (event,) = run_line(Context(session, list, COMMANDS), line)
    return event


def note(session: Session, line: str) -> str:
    event = events_of(session, line)
    assert isinstance(event, Note), event
    return event.text


def refusal(session: Session, line: str) -> str:
    event = events_of(session, line)
    assert isinstance(event, Rejected), event
    return str(event.error)


@pytest.mark.parametrize(
    ("line", "field", "value", "message"),
    [
        ("!set steps 30", "steps", 30, "-s30"),
        ("!set steps=30", "steps", 30, "-s30"),
        ("!set -s30", "steps", 30, "-s30"),
        ("!set --cfg-scale 7.5", "cfg_scale", 7.5, "-C7.5"),
        ("!set sampler euler", "sampler", "k_euler", "-Ak_euler"),
        ("!set upscale 2 0.5", "upscale", Upscale(2, 0.5), "-U 2 0.5"),
        ("!set grid", "grid", True, "-g"),
        ("!set grid on", "grid", True, "-g"),
        ("!set negative blurry, dark", "negative", "blurry, dark", '--negative="blurry, dark"'),
        ('!set outdir "my pictures"', "outdir", "my pictures", '--outdir="my pictures"'),
    ],
)
def test_a_default_is_set(
    session: Session, line: str, field: str, value: object, message: str
) -> None:
    assert note(session, line) == f"default is now {message}"
    assert getattr(session.base, field) == value
    assert session.changed == {field: value}


def test_what_was_set_is_what_lines_mean_and_is_shown(session: Session) -> None:
    note(session, "!set -s2 -C9")
    list(session.make("a cat -C3"))
    assert isinstance(session.engine, FakeEngine)
    (recipe,) = session.engine.rendered
    assert (recipe.steps, recipe.cfg_scale) == (2, 3)
    event = events_of(session, "!set")
    assert isinstance(event, TextOutput)
    assert event.lines == (("steps", "2  (was not set)"), ("cfg_scale", "9  (was not set)"))


def test_nothing_set_says_how(session: Session) -> None:
    event = events_of(session, "!set")
    assert isinstance(event, TextOutput)
    assert "!set steps 30" in event.lines[0][1]


def test_unset_is_as_at_the_start(session: Session) -> None:
    before = session.base
    note(session, "!set -s2 -g")
    note(session, "!set grid off")
    assert session.changed == {"steps": 2}
    assert note(session, "!unset steps outdir").startswith("restored: steps: not set; ")
    assert session.base == before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("!set stepps 5", "did you mean --steps?"),
        ("!set steps many", "a whole number from 1 to 1000"),
        ("!set steps", "nothing follows"),
        ("!set steps 5 6", "not “5 6”"),
        ("!set cfg_scale 5,7", "at least 1"),
        ("!set sampler ddimm", "did you mean ddim?"),
        ("!set prompt a cat", "a prompt is not a setting"),
        ("!set device cpu", "when dream starts"),
        ("!unset", "needs the name"),
        ("!unset stepps", "did you mean steps?"),
        ("!save_settings there", "takes no value"),
    ],
)
def test_what_cannot_be_set_is_said(session: Session, line: str, why: str) -> None:
    before = session.base
    assert why in refusal(session, line)
    assert session.base is before


def test_saved_settings_are_read_at_the_next_start(session: Session) -> None:
    note(session, "!set -s2 -C7.5 -U2 -g -Aeuler")
    message = note(session, "!save_settings")
    assert message == f"{FILE}: steps, cfg_scale, sampler, upscale, grid, outdir"
    assert read_settings(find_settings_files())[1] == session.base
    assert note(session, "!save_settings") == f"{FILE}: no changes"
    assert list(Path().glob(".dream.toml*")) == [], "no temporary file stays"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("hires_fix", "hires_fix = true"),
        ("hires_fix 0.25", "hires_fix = 0.25"),
        ('text_mask "cat AND NOT dog"', 'text_mask = ["cat AND NOT dog", 0.5]'),
        ("-I a.png", 'init_img = "a.png"'),
        ("-c right 64 top 8", 'outcrop = ["top", 8, "right", 64]'),
        ("-D left", 'out_direction = ["left"]'),
        ("-embiggen 2", "embiggen = [2, 0.75, 0.25]"),
    ],
)
def test_values_of_every_shape_are_saved_and_read(
    session: Session, message: str, shown: str
) -> None:
    note(session, f"!set {message}")
    note(session, "!save_settings")
    assert shown in Path(FILE).read_text().splitlines()
    assert read_settings(find_settings_files())[1] == session.base
    name = shown.partition(" ")[0]
    assert note(session, f"!unset {name}") == f"restored: {name}: not set"


def test_comments_order_and_other_keys_stay(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text("# mine\nsteps = 20  # quick\ncfg-scale = 5\n\ndevice = 'cpu'\ngrid = true\n")
    base = read_settings([file])[1]
    changed = type(base)(**{**vars(base), "steps": 30, "cfg_scale": 6.5, "seed": 1, "grid": False})
    assert save_settings(changed, [file]) == (("steps", "seed", "cfg_scale", "grid"), ())
    assert file.read_text() == (
        "# mine\nsteps = 30  # quick\ncfg-scale = 6.5\n\ndevice = 'cpu'\ngrid = false\nseed = 1\n"
    )


def test_what_is_unset_leaves_the_file(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text("steps = 20 # quick\nmodel = 'tiny'\n")
    base = read_settings([file])[1]
    save_settings(type(base)(**{**vars(base), "steps": None}), [file])
    assert file.read_text() == "model = 'tiny'\n"


def test_what_another_file_sets_cannot_be_unset(session: Session, tmp_path: Path) -> None:
    (tmp_path / "config" / FILE).write_text("steps = 20\n")
    events = list(run_line(Context(session, list, COMMANDS), "!save_settings"))
    assert [event.text for event in events if isinstance(event, Note)] == [
        f"{FILE}: outdir",
        f"another {FILE} still sets steps; remove it there",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "it is not a regular file"),
        (Path.mkdir, "it is a folder, not a file"),
        (lambda path: path.symlink_to(os.devnull), "it is not a regular file"),
    ],
)
def test_what_is_no_file_is_named_and_stays(
    session: Session, make: Callable[[Path], None], why: str
) -> None:
    make(Path(FILE))
    before = Path(FILE).lstat()
    folders = find_settings_files()[-1]
    assert read_settings([folders]) == (CliOptions(), Request())  # of anybody's clone
    with pytest.raises(BadSetting, match=why):
        read_settings([folders.absolute()])
    assert "fix or remove this file" in refusal(session, "!save_settings")
    assert Path(FILE).lstat()[:3] == before[:3]


def test_a_broken_file_is_left_alone(session: Session) -> None:
    Path(FILE).write_text("steps = \n")
    assert FILE in refusal(session, "!save_settings")
    assert Path(FILE).read_text() == "steps = \n"
