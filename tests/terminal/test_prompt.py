"""The real prompt and the real session; keys through a pipe, colours instead of a model."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path

import pytest

from dream.core.errors import EngineError
from dream.core.recipe import Recipe
from dream.engine.interface import Progress
from dream.session import Session
from dream.terminal.greeting import create_screen
from dream.terminal.history_file import FILE_NAME
from dream.terminal.prompt import run_session
from tests.fakes import FakeEngine, fake_registry
from tests.foreign_samples import FORGE
from tests.terminal.conftest import Typed

CTRL_C, CTRL_D, ENTER = "\x03", "\x04", "\r"


def paste(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


def prompts(session: Session) -> list[str]:
    assert isinstance(session.engine, FakeEngine)
    return [recipe.prompt for recipe in session.engine.rendered]


def saved_lines(session: Session) -> list[str]:
    file = session.outdir / FILE_NAME
    return file.read_text().splitlines() if file.exists() else []


def test_a_line_becomes_a_picture_and_its_path_is_shown(session: Session, typed: Typed) -> None:
    shown = typed(session, "a red circle -S42\r")
    (picture,) = session.outdir.glob("*.png")
    # The line itself is said again where the next one was entered before it was begun.
    begun = shown.removeprefix("dream> a red circle -S42\n")
    assert begun == f"{picture.as_posix()}  (-S42)\n"


@pytest.mark.parametrize("leave", ["q", "quit", "exit", "/bye", "  q ", CTRL_D])
def test_ways_to_leave(session: Session, typed: Typed, leave: str) -> None:
    end = "" if leave == CTRL_D else ENTER
    assert typed(session, leave + end + "never made\r") == ""
    assert prompts(session) == []


def test_lines_that_say_nothing_are_passed_over(session: Session, typed: Typed) -> None:
    assert typed(session, "\r   \r# a comment\r// another\r") == ""
    assert prompts(session) == []


def test_a_wrong_line_is_pointed_at_and_the_prompt_lives_on(session: Session, typed: Typed) -> None:
    shown = typed(session, "a cat -stpes 20\ra dog -S1\r").splitlines()
    assert shown[0] == " " * len("dream> a cat ") + "^"
    assert shown[1].startswith("“-stpes” is not a switch (did you mean --steps?")
    assert prompts(session) == ["a dog"]


def test_a_picture_that_fails_is_said_and_the_prompt_lives_on(
    session: Session, typed: Typed
) -> None:
    def fails(recipe: Recipe) -> EngineError | None:
        return EngineError("it went dark") if recipe.prompt == "a cat" else None

    assert isinstance(session.engine, FakeEngine)
    session.engine.fails = fails
    shown = typed(session, "a cat\ra dog -S7\r")
    assert "failed: it went dark" in shown
    assert "-S7" in shown


def test_each_pasted_line_is_a_line_of_its_own(session: Session, typed: Typed) -> None:
    shown = typed(session, "a " + paste("cat -S1\r\nb -S2\nc -S3\nd -") + "S4\r")
    assert prompts(session) == ["a cat", "b", "c", "d"]
    assert "dream> b -S2\n" in shown
    assert saved_lines(session) == ["a cat -S1", "b -S2", "c -S3", "d -S4"]


@pytest.mark.parametrize("text", [FORGE, FORGE.replace("\n", " ")])
def test_a_pasted_block_of_another_program_is_one_line(
    session: Session, typed: Typed, text: str
) -> None:
    shown = typed(session, paste(text) + "\r")
    assert prompts(session) == ["a red circle"]
    assert "made by Forge" in shown


def test_forty_pasted_lines_are_all_made_in_order(session: Session, typed: Typed) -> None:
    lines = [f"picture {n} -s1 -S{n} -W64 -H64" for n in range(40)]
    typed(session, paste("\n".join(lines) + "\n"))
    assert prompts(session) == [f"picture {n}" for n in range(40)]


def test_lines_typed_in_one_burst_are_all_made(session: Session, typed: Typed) -> None:
    typed(session, "a\rb\nc\r")
    assert prompts(session) == ["a", "b", "c"]


def test_a_typed_line_break_ends_a_line_too(session: Session, typed: Typed) -> None:
    typed(session, "a\x11\nb\r")  # Ctrl-Q: the next key as it is
    assert prompts(session) == ["a", "b"]


def test_ctrl_c_on_an_empty_line_says_how_to_leave(session: Session, typed: Typed) -> None:
    assert typed(session, CTRL_C + "a\r").startswith("to quit, type q or press Ctrl-D\n")
    assert prompts(session) == ["a"]


def test_ctrl_c_clears_what_is_typed_and_undo_brings_it_back(
    session: Session, typed: Typed
) -> None:
    typed(session, "a cat" + CTRL_C + "# so\r" + "a cow" + CTRL_C + "\x1f" + ENTER)
    assert prompts(session) == ["a cow"]


def test_ctrl_c_ends_the_line_being_made_and_keeps_what_is_finished(
    session: Session, typed: Typed
) -> None:
    engine = session.engine
    assert isinstance(engine, FakeEngine)

    def press(progress: Progress) -> None:
        if len(engine.rendered) == 2 and progress.step == 2:
            signal.raise_signal(signal.SIGINT)
            assert engine.interrupted.wait(60)

    engine.on_step = press
    shown = typed(session, "a cat -n5\ra dog -S1\r")
    assert "cancelled; 1 of 5 made" in shown
    assert prompts(session) == ["a cat", "a cat", "a dog"]
    assert len(engine.given_up) == 1
    assert len(list(session.outdir.glob("*.png"))) == 2


def test_ctrl_c_twice_gives_up_the_waiting_lines(session: Session, typed: Typed) -> None:
    engine = session.engine
    assert isinstance(engine, FakeEngine)

    def press(progress: Progress) -> None:
        engine.interrupted.clear()
        signal.raise_signal(signal.SIGINT)
        assert engine.interrupted.wait(60)

    engine.on_step = press
    shown = typed(session, paste("a\nb\nc\nd\n"))
    assert "cancelled 2 waiting lines too" in shown
    assert prompts(session) == ["a", "b"]


def test_leaving_is_not_kept_but_wrong_lines_are(session: Session, typed: Typed) -> None:
    typed(session, "a cat -stpes\r\r")
    assert saved_lines(session) == ["a cat -stpes"]


def test_commands_put_text_into_the_edit_line(session: Session, typed: Typed) -> None:
    typed(session, "a cat -S5\r!1\r -W128\r")
    assert isinstance(session.engine, FakeEngine)
    assert [(r.prompt, r.seed, r.width) for r in session.engine.rendered] == [
        ("a cat", 5, 64),
        ("a cat", 5, 128),
    ]


def test_bytes_that_are_no_text_do_not_end_the_session(session: Session, typed: Typed) -> None:
    typed(
        session, "a \udcff cat -S1\ra dog -S2\r".encode(errors="surrogateescape").decode("latin-1")
    )
    assert prompts(session)[-1] == "a dog"


def test_a_folder_that_cannot_be_written_is_said_once(session: Session, typed: Typed) -> None:
    session.outdir.parent.mkdir(exist_ok=True)
    session.outdir.write_text("a file in the folder's place")
    shown = typed(session, "# one\r# two\r!history\r")
    assert shown.count("history is not saved") == 1
    assert "1  # one\n    2  # two\n" in shown


def test_a_dumb_terminal_gets_a_plain_prompt(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a cat -S1\n!1\na dog -S2\n")))
    assert run_session(lambda: (session, create_screen(sys.stdout)), session.outdir) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("dream> ") == 4
    assert prompts(session) == ["a cat", "a dog"]
    assert saved_lines(session) == ["a cat -S1", "!1", "a dog -S2"]


def test_a_dumb_terminal_is_asked_too(
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_registry(tmp_path / "elsewhere", "mine")
    what = f"!import_model {tmp_path}/elsewhere/mine"
    typed = f"{what}\n\na good one\n{what} --name=other\n".encode()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
    assert run_session(lambda: (session, create_screen(sys.stdout)), session.outdir) == 0
    shown = capsys.readouterr().out
    assert "Name: [mine] Description: · imported mine:" in " ".join(shown.split())
    assert shown.endswith("Description: \ncancelled\ndream> \n"), "the input ended"
    assert [card.name for card in session.registry.list_models()] == ["mine", "tiny"]
