from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from dream.commands import (
    COMMANDS,
    Command,
    Context,
    InsertText,
    TextOutput,
    get_questions,
    is_queued,
    run_line,
)
from dream.core.events import (
    Cancelled,
    Event,
    Failed,
    LineStarted,
    Note,
    Rejected,
    Saved,
    Step,
    Verified,
)
from dream.core.request import FLAGS
from dream.line import parse_line
from dream.options.control import CONTROL_EXAMPLES, CONTROL_KINDS
from dream.session import Session
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path)


def events_of(session: Session, line: str, history: Sequence[str] = ()) -> list[Event]:
    return list(run_line(Context(session, lambda: history, COMMANDS), line))


def page(session: Session, line: str, history: Sequence[str] = ()) -> str:
    (event,) = events_of(session, line, history)
    assert isinstance(event, TextOutput)
    return "\n".join(" ".join(row) if isinstance(row, tuple) else row for row in event.lines)


def refusal(session: Session, line: str, history: Sequence[str] = ()) -> str:
    (event,) = events_of(session, line, history)
    assert isinstance(event, Rejected)
    return str(event.error)


def seeds(session: Session) -> list[int]:
    assert isinstance(session.engine, FakeEngine)
    return [recipe.seed for recipe in session.engine.rendered]


def test_every_row_of_the_table_says_what_it_is() -> None:
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)
    for command in COMMANDS:
        assert command.name.startswith("!")
        assert command.help
        assert not command.help.endswith(".")


def test_anything_else_is_made(session: Session) -> None:
    for line in ("a cat -S1", "!dream a cat -S2", '"help" -S3', "helping hands -S4"):
        events_of(session, line)
    assert seeds(session) == [1, 2, 3, 4]


@pytest.mark.parametrize("line", ["", "  ", "# so", "// so"])
def test_lines_that_say_nothing_do_nothing(session: Session, line: str) -> None:
    assert events_of(session, line) == []


@pytest.mark.parametrize("line", ["!hlep", "!Help", "!replya x.txt"])
def test_an_unknown_command_names_the_nearest(session: Session, line: str) -> None:
    assert "is not a command (did you mean !" in refusal(session, line)


def test_a_command_like_nothing_says_how_to_make_it_a_prompt(session: Session) -> None:
    assert "put a prompt in quotes" in refusal(session, "!!!wow!!!")
    events_of(session, '"!!!wow!!!" -S9')
    assert seeds(session) == [9]


# ── !help ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line", ["!help", "help", "-h", "--help", "?", " help "])
def test_help_names_every_switch_and_command(session: Session, line: str) -> None:
    text = page(session, line)
    for flag in FLAGS.values():
        assert flag.help in text
    for command in COMMANDS:
        assert f"{command.name} {command.usage}".strip() in text


@pytest.mark.parametrize("topic", ["-s", "--steps", "steps", "s"])
def test_help_explains_a_switch(session: Session, topic: str) -> None:
    text = page(session, f"!help {topic}")
    assert text.startswith("-s, --steps N\n")
    assert "a whole number from 1 to 1000" in text


def test_help_about_control_has_every_kind_and_examples_that_can_be_read(
    session: Session,
) -> None:
    text = page(session, "!help control")
    for kind in CONTROL_KINDS.values():
        assert f"  {kind.name}" in text and kind.help in text
    for end, what in CONTROL_EXAMPLES:
        assert end in text and what in text
        assert parse_line(f"a cat {end}").control


def test_help_knows_every_name(session: Session) -> None:
    for flag in FLAGS.values():
        for name in flag.names:
            assert flag.help in page(session, f"!help {name}")
            assert flag.help in page(session, f"!help {name.replace('_', '-')}")
    for command in COMMANDS:
        about = page(session, f"!help {command.name}")
        assert command.help in about
        assert all(
            name in about and kind.expects in about for name, kind in command.options.items()
        )


def test_help_about_nothing_names_the_nearest(session: Session) -> None:
    assert "did you mean -s?" in refusal(session, "!help stepps")


# ── files ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file", ["list.txt", '"list.txt"', "'list.txt'", "  list.txt  "])
def test_replay_makes_every_line(session: Session, tmp_path: Path, file: str) -> None:
    (tmp_path / "list.txt").write_text("a cat -S1\n# no\n\na dog -S2\n")
    events_of(session, f"!replay {file}")
    assert seeds(session) == [1, 2]


@pytest.mark.parametrize("file", ["my lists/a.txt", '"my lists/a.txt"', "'my lists/a.txt'"])
def test_names_with_spaces_need_no_quotes_and_take_them(
    session: Session, tmp_path: Path, file: str
) -> None:
    (tmp_path / "my lists").mkdir()
    (tmp_path / "my lists" / "a.txt").write_text("a cat -S1\n")
    events_of(session, f"!replay {file}")
    assert seeds(session) == [1]


def test_a_log_replays_and_verifies_by_its_bare_name(session: Session) -> None:
    events_of(session, "a cat -S1 -n2")
    assert not Path("dream_log.txt").exists(), "it lies in the outdir"
    replayed = events_of(session, "!replay dream_log.txt")
    assert [type(event) for event in replayed].count(Saved) == 2
    verified = events_of(session, "!verify dream_log.txt")
    assert all(event.same for event in verified if isinstance(event, Verified))
    assert isinstance(verified[-1], Note)
    assert len(seeds(session)) == 8


@pytest.mark.parametrize("command", ["!replay", "!verify", "!fetch"])
@pytest.mark.parametrize("file", ["no such file", "/", "~nobody/x", "\0", "x" * 5000])
def test_what_is_no_file_is_refused(session: Session, command: str, file: str) -> None:
    assert refusal(session, f"{command} {file}")
    assert "needs a file name" in refusal(session, f"{command} ")


def test_fetch_gives_the_line_that_makes_the_picture_again(session: Session) -> None:
    made = events_of(session, '"a \\"big\\" cat\'s -s [dark]" -S1 -s4')
    (saved,) = (event for event in made if isinstance(event, Saved))
    for file in (str(saved.path), saved.path.name):
        (event,) = events_of(session, f"!fetch {file}")
        assert event == InsertText(text=saved.line)
    again = events_of(session, saved.line)
    assert [event.sha256 for event in again if isinstance(event, Saved)] == [saved.sha256]


def test_fetch_counts_back_from_the_last_picture(session: Session) -> None:
    assert "(none so far)" in refusal(session, "!fetch -1")
    events_of(session, "a cat -S1")
    events_of(session, "a dog -S2 -U2 -save_orig")
    for back, seed in (("-1", "-S2"), ("-2", "-S1")):
        (event,) = events_of(session, f"!fetch {back}")
        assert isinstance(event, InsertText) and seed in event.text
    assert "(2 so far)" in refusal(session, "!fetch -3")


def test_fetch_writes_a_script_that_replays_and_verifies(session: Session, tmp_path: Path) -> None:
    events_of(session, "a cat -S 3..1 --sheet")
    (tmp_path / "outputs" / "foreign.png").write_bytes(b"no picture")
    (note,) = events_of(session, "!fetch *.png lines.txt")
    assert note == Note(
        text="wrote 3 lines to lines.txt; 2 images have no record of how they were made"
    )
    log = (tmp_path / "outputs" / "dream_log.txt").read_text().splitlines()[:3]
    assert sorted(Path("lines.txt").read_text().splitlines()) == sorted(log)
    verified = events_of(session, "!verify lines.txt")
    assert [event.same for event in verified if isinstance(event, Verified)] == [True] * 3


def test_fetch_never_writes_over_a_file(session: Session, tmp_path: Path) -> None:
    events_of(session, "a cat -S1")
    Path("my lines.txt").write_text("mine")
    for name in ("my lines.01.txt", "my lines.02.txt"):
        (note,) = events_of(session, '!fetch outputs/*.png "my lines.txt"')
        assert note == Note(text=f"wrote 1 line to {name}")
    assert Path("my lines.txt").read_text() == "mine"


def test_a_pattern_wants_a_file_to_write(session: Session) -> None:
    events_of(session, "a cat -S1")
    assert "an output file" in refusal(session, "!fetch *.png")
    assert "no file matches no*.png" in refusal(session, "!fetch no*.png lines.txt")
    assert "cannot write /no/such" in refusal(session, "!fetch *.png /no/such/folder/lines.txt")


# ── many pictures ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line", ["a cat -S1..101", "a cat -n101 # note", "x.png: a cat -S1..101"])
def test_more_than_a_hundred_pictures_are_asked_about_first(session: Session, line: str) -> None:
    note, edit = events_of(session, line)
    assert isinstance(note, Note) and note.text.startswith("101 images: 101 × -")
    assert isinstance(edit, InsertText) and edit.text == line.removesuffix(" # note") + " --yes"
    assert seeds(session) == []
    events_of(session, edit.text + " -s1")
    assert len(seeds(session)) == 101


def test_a_hundred_are_made_at_once(session: Session) -> None:
    events_of(session, "a cat -S1..50 -n2 -s1")
    assert len(seeds(session)) == 100


# ── the past ───────────────────────────────────────────────────────────────────────────────────

PAST = [f"line {n}" for n in range(1, 31)]


def test_history_shows_the_last_lines_numbered(session: Session) -> None:
    text = page(session, "!history", PAST)
    assert "… and 10 earlier" in text
    assert text.endswith("   30  line 30")
    assert page(session, "!history 2", PAST).splitlines()[1:] == [
        "   29  line 29",
        "   30  line 30",
    ]
    assert "before" not in page(session, "!history 99", PAST)
    assert page(session, "!history") == "nothing found"


@pytest.mark.parametrize("count", ["0", "-1", "x", "1 2", "²", "9" * 20])
def test_history_wants_a_count(session: Session, count: str) -> None:
    assert "takes a number of lines" in refusal(session, f"!history {count}", PAST)


def test_search_finds_all_words_in_any_order_and_case(session: Session) -> None:
    history = ["A red Circle", "a circle", "circle, reddish"]
    assert (
        page(session, "!search circle RED", history)
        == "    1  A red Circle\n    3  circle, reddish"
    )
    assert page(session, "!search cow", history) == "nothing found"
    assert "needs words" in refusal(session, "!search", history)


def test_a_number_puts_its_line_into_the_edit_line(session: Session) -> None:
    assert events_of(session, "!7", PAST) == [InsertText(text="line 7")]


@pytest.mark.parametrize("number", ["!0", "!31", "!7x", "!99999999999999999999"])
def test_a_number_without_a_line_is_refused(session: Session, number: str) -> None:
    assert "lines are 1 to 30" in refusal(session, number, PAST)


def test_commands_that_render_stop_at_ctrl_c(session: Session, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a cat -S1\na dog -S2\n")
    events = run_line(Context(session, list, COMMANDS), "!replay list.txt")
    assert [type(next(events)) for _ in range(2)] == [LineStarted, Step]
    assert isinstance(events.throw(KeyboardInterrupt()), Cancelled)
    assert list(events) == []
    assert seeds(session) == [1]


def test_last_puts_the_line_back_with_its_seed(session: Session) -> None:
    assert "no image was made yet" in refusal(session, "!last")
    made = events_of(session, 'a "big" cat -n2 -C 5,7')
    (edit,) = events_of(session, "!last")
    assert isinstance(edit, InsertText)
    assert edit.text == f'"a \\"big\\" cat" -S{seeds(session)[0]} -C5,7 -n2'
    again = events_of(session, edit.text)
    pixels = [[e.sha256 for e in events if isinstance(e, Saved)] for events in (made, again)]
    assert pixels[0] == pixels[1]


def test_last_in_a_new_session_is_the_logs_last(session: Session, tmp_path: Path) -> None:
    (*_, saved) = (e for e in events_of(session, "a cat -n2 --sheet") if isinstance(e, Saved))
    assert events_of(fake_session(tmp_path), "!last") == [InsertText(text=saved.line)]


def test_clear_asks_and_then_forgets(session: Session) -> None:
    forgotten: list[str] = []
    context = Context(session, lambda: PAST, COMMANDS, lambda: forgotten.append("all"))
    (note,) = run_line(context, "!clear")
    assert isinstance(note, Note) and "30 lines" in note.text
    assert forgotten == []
    list(run_line(context, "!clear yes"))
    assert forgotten == ["all"]


@pytest.mark.parametrize(
    ("line", "about", "expected"),
    [("!clear", "30 lines", "!clear yes"), ("a cat -n101 # so", "101", "a cat -n101 --yes")],
)
def test_what_cannot_be_undone_is_asked_about(
    session: Session, line: str, about: str, expected: str
) -> None:
    context = Context(session, lambda: PAST, COMMANDS)
    for answer, done in (("y", (expected,)), ("n", ())):
        asking = get_questions(context, line)
        question = next(asking)
        assert about in question.text and question.keys == "yn"
        with pytest.raises(StopIteration) as end:
            asking.send(answer)
        assert end.value.value == done


def test_what_nobody_foresaw_is_reported_with_a_file(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(context: Context, argument: str) -> NoReturn:
        raise ZeroDivisionError("of a command")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    context = Context(session, tuple, (Command("!broken", "", "breaks", broken),))
    (event,) = run_line(context, "!broken now")
    assert isinstance(event, Failed) and "ZeroDivisionError: of a command" in str(event.error)
    (file,) = tmp_path.rglob("dream-crash-*.txt")
    assert str(file) in str(event.error)
    assert "in broken" in file.read_text("utf-8")

    def parse_sweep(line: str) -> NoReturn:
        raise RecursionError

    monkeypatch.setattr(session, "parse_sweep", parse_sweep)
    assert is_queued(context, "a cat"), "the maker reports it"
    assert list(get_questions(context, "a cat")) == []
    (event,) = run_line(context, "a cat")
    assert isinstance(event, Failed)


def test_help_says_what_can_be_swept(session: Session) -> None:
    assert "-A ddim,plms" in page(session, "!help -A")
    assert "a picture of each" not in page(session, "!help -n")
