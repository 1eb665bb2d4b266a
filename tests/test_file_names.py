from __future__ import annotations

from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, run_line
from dream.commands.check_line import check_line
from dream.core.errors import BadLine
from dream.core.events import Failed, Planned, Rejected, Saved
from dream.core.file_names import is_file, is_folder, parse_path, path_exists_at
from dream.core.recipe import Recipe
from dream.engine.interface import EngineEvents
from dream.line import quote
from tests.fakes import FakeEngine, fake_session

IMPOSSIBLE = {
    "a part of 256 bytes": "a" * 252 + ".png",
    "a part of 256 bytes in fewer characters": "猫" * 84 + ".png",
    "a path of 4,096 bytes": "a/" * 2048 + "b",
    "nobody's home": "~nosuchuser/x.png",
    "a zero byte": "a\0b.png",
    "half a character": "a\ud800.png",
}
FIELDS = ("-I", "-M", "--init_color", "-o")


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_no_file_can_be_called_by_is_refused(name: str) -> None:
    with pytest.raises(BadLine):
        parse_path(name)


def test_what_a_file_can_be_called_by_is_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    longest = "a" * 255
    assert parse_path(f"~/{longest}") == Path("/home/somebody") / longest
    assert parse_path("./~nosuchuser") == Path.cwd() / "~nosuchuser"


def test_questions_about_impossible_paths_are_answered() -> None:
    for name in IMPOSSIBLE.values():
        path = Path(name)
        assert not path_exists_at(path) and not is_file(path) and not is_folder(path)


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_line_with_such_a_name_is_refused_wherever_it_is_met(tmp_path: Path, name: str) -> None:
    session = fake_session(tmp_path)
    context = Context(session, tuple, COMMANDS)
    lines = [f"a cat -I {quote(str(tmp_path))} {field} {quote(name)}" for field in FIELDS]
    lines += [f"a cat {field} {quote(name)}" for field in FIELDS]
    lines += [f"!fix {quote(name)} -U2", f"x.png: a cat -I {quote(name)} -S1"]
    for line in lines:
        (event,) = run_line(context, line)
        assert isinstance(event, Rejected), line
        (event,) = session.plan(line)
        assert isinstance(event, Rejected), line
        verdict = check_line(context, f"{line} -s1")
        assert verdict is not None and verdict.wrong, line


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_commands_refuse_such_a_name(tmp_path: Path, name: str) -> None:
    context = Context(fake_session(tmp_path), tuple, COMMANDS)
    for command in COMMANDS:
        if command.completion not in ("file", "picture", "model", "vae", "control"):
            continue
        options = " -tm cat" if command.name == "!mask" else ""
        kind = "canny " if command.name == "!control" else ""
        (event,) = run_line(context, f"{command.name} {kind}{quote(name)}{options}")
        assert isinstance(event, Rejected), command.name
    for line in (f"!set outdir {quote(name)}", f"!fetch *.png {quote(name)}"):
        events = list(run_line(context, line))
        assert isinstance(events[-1], Rejected), line


def test_a_line_that_raises_the_unexpected_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(FakeEngine):
        def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
            if recipe.prompt == "a bug":
                raise ZeroDivisionError
            return super().render(recipe, every)

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    session = fake_session(tmp_path, Broken())
    lines = [(1, "a bug"), (2, "a cat")]
    outcomes = [event for event in session.make_all(lines) if isinstance(event, Failed | Saved)]
    assert [type(event) for event in outcomes] == [Failed, Saved]
    assert list(tmp_path.rglob("dream-crash-*.txt"))
    assert any(isinstance(event, Planned) for event in session.make_all(lines, dry_run=True))
