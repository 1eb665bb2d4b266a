"""!fix of a folder, a pattern, or several names: a line for each picture, and none twice.

With the fake engine, and once with the shipped upscaler.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from dream.cli.app import main
from dream.commands import COMMANDS, Context, InsertText, get_questions, is_queued, run_line
from dream.core.events import Cancelled, Event, LineStarted, Note, Planned, Rejected, Saved
from dream.engine.interface import Progress
from dream.gallery import LOG_NAME, read_record
from dream.queue import follow_until_cancelled
from dream.session import Session, summarize_plan
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with three photos in `holiday/` and what is no photo."""
    monkeypatch.chdir(tmp_path)
    holiday = tmp_path / "holiday"
    (holiday / "sub.png").mkdir(parents=True)
    for name, colour in (("b.png", "green"), ("a.JPG", "red"), ("c d.webp", "blue")):
        Image.new("RGB", (24, 16), colour).save(holiday / name)
    Image.new("RGB", (8, 8)).save(holiday / "sub.png" / "deep.png")
    Image.new("RGB", (8, 8)).save(holiday / ".hidden.png")
    (holiday / "notes.txt").write_text("rain")
    return tmp_path


@pytest.fixture
def session(cwd: Path) -> Session:
    return fake_session(cwd)


def saved(events: Iterable[Event]) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved)]


def names(events: Iterable[Event]) -> list[str]:
    return [Path(str(event.request.fix)).name for event in saved(events)]


def notes(events: Iterable[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def refusals(events: Iterable[Event]) -> list[str]:
    return [str(event.error) for event in events if isinstance(event, Rejected)]


ALL = ["a.JPG", "b.png", "c d.webp"]


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("holiday/", ALL),
        ("holiday", ALL),
        ('"holiday"', ALL),
        ("'holiday/'", ALL),
        ("holiday/*", ALL),
        ("holiday/?.*", ALL[:2]),
        ("holiday/[bc]*", ALL[1:]),
        ("holiday/*.png", ["b.png"]),
        ("holiday/.*.png", [".hidden.png"]),
        ("holiday/b.png holiday/a.JPG", ["b.png", "a.JPG"]),
        ('"holiday/c d.webp" holiday/b.png', ["c d.webp", "b.png"]),
        ("holiday/b.png 'holiday/c d.webp'", ["b.png", "c d.webp"]),
        ("holiday/b.png holiday/*.png holiday", ["b.png", "a.JPG", "c d.webp"]),
    ],
)
def test_each_picture_is_a_line_of_its_own(
    session: Session, cwd: Path, named: str, found: list[str]
) -> None:
    events = list(session.make(f"!fix {named} -U2 # so"))
    assert not refusals(events)
    assert names(events) == found
    first = next(n for n, event in enumerate(events) if isinstance(event, LineStarted))
    many = "1 image" if len(found) == 1 else f"{len(found)} images"
    assert f"{many} to fix" in notes(events[:first]), "the number is said before the first"
    turns = [(event.turn, event.turns) for event in events if isinstance(event, LineStarted)]
    assert turns == [(turn, len(found)) for turn in range(1, len(found) + 1)]
    log = (cwd / "outputs" / LOG_NAME).read_text().splitlines()
    for event, logged in zip(saved(events), log, strict=True):
        assert event.line.startswith(f'!fix "{Path(str(event.request.fix)).as_posix()}"')
        assert event.line in logged
        assert read_record(event.path).line == event.line


def test_names_with_spaces_and_signs_are_one_file_where_there_is_one(
    session: Session, cwd: Path
) -> None:
    for name in ("x y.png", "x*.png", "x", "y.png"):
        Image.new("RGB", (8, 8)).save(cwd / name, "PNG")
    assert names(session.make("!fix x y.png -U2")) == ["x y.png"]
    assert names(session.make("!fix x*.png -U2")) == ["x*.png"]
    assert names(session.make("!fix x x*.png -U3")) == ["x", "x*.png"]


def test_a_folder_among_the_pictures_is_found_and_links_are_followed(
    session: Session, cwd: Path
) -> None:
    (cwd / "outputs").mkdir()
    (cwd / "holiday").rename(cwd / "outputs" / "holiday")
    (cwd / "outputs" / "linked").symlink_to("holiday")
    (cwd / "one").mkdir()
    (cwd / "one" / "far.png").symlink_to(cwd / "outputs" / "holiday" / "b.png")
    (cwd / "one" / "lost.png").symlink_to("nothing.png")
    assert names(session.make("!fix holiday -U2")) == ALL
    assert names(session.make("!fix linked/*.png -U3")) == ["b.png"]
    assert names(session.make("!fix one/ -U2")) == ["far.png"]


def test_files_without_a_known_ending_are_meant_by_a_pattern_alone(
    session: Session, cwd: Path
) -> None:
    (cwd / "holiday" / "b.png").rename(cwd / "holiday" / "b.scan")
    assert names(session.make("!fix holiday/ -U2")) == ["a.JPG", "c d.webp"]
    assert names(session.make("!fix holiday/*.scan -U2")) == ["b.scan"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("!fix empty/ -U2", "no images found for empty/"),
        ("!fix no*.png -U2", "no images found for no*.png (sub-folders"),
        ("!fix holiday/**/deep.png -U2", "** is not supported"),
        ("!fix holiday/", "has nothing to do"),
        ("!fix holiday/ -U2 -I holiday/b.png", "-I is not supported with !fix"),
        ("!fix holiday/ -c up", "-c takes sides"),
        ("!fix holiday/b.png holiday/x.png -U2", "there is no holiday/x.png (put file names with"),
        ("!fix holiday/y.png holiday/x.png -U2", "there is no holiday/y.png holiday/x.png"),
        ("!fix a[b.png -U2", "no images found for a[b.png"),
        ("!fix holiday/ -U2 --model nope -c top 8", "nope"),
    ],
)
def test_what_is_wrong_with_the_line_is_said_once(
    session: Session, cwd: Path, line: str, message: str
) -> None:
    (cwd / "empty").mkdir()
    (refusal,) = refusals(session.make(line))
    assert message in refusal
    assert refusals(session.plan(line)) == [refusal]
    assert not (cwd / "outputs" / LOG_NAME).exists()


def test_a_fault_is_pointed_at_where_it_was_typed(session: Session) -> None:
    (event,) = session.make("!fix holiday/ -U2 -c up")
    assert isinstance(event, Rejected)
    assert getattr(event.error, "column", 0) == len("!fix holiday/ -U2 -") + 0


# ── not twice ──────────────────────────────────────────────────────────────────────────────────


def test_a_picture_done_is_not_done_twice(session: Session, cwd: Path) -> None:
    list(session.make("!fix holiday/b.png -U2"))
    events = list(session.make("!fix holiday/ -U2"))
    assert notes(events)[0] == "2 images to fix; 1 of 3 images was already done"
    assert names(events) == ["a.JPG", "c d.webp"]
    again = fake_session(cwd)
    for named in ("holiday/", f"{cwd}/holiday/*", "holiday/b.png holiday/a.JPG"):
        (event,) = again.make(f"!fix {named} -U2")
        assert isinstance(event, Note) and event.text.startswith("0 images to fix; ")
    assert names(again.make("!fix holiday/b.png -U2")) == ["b.png"], "one file is always done"


def test_other_values_files_and_folders_are_not_done(session: Session, cwd: Path) -> None:
    list(session.make("!fix holiday/ -U2"))
    for switches in ("-U3", "-U 2 .5", "-U2 -c left 8", "-U2 -o big", "-U2 -n2"):
        assert set(names(session.make(f"!fix holiday/ {switches}"))) == set(ALL), switches
    Image.new("RGB", (24, 16), "pink").save(cwd / "holiday" / "b.png")
    (cwd / "holiday" / "a.JPG").rename(cwd / "holiday" / "e.jpg")
    assert names(session.make("!fix holiday/ -U2")) == ["b.png", "e.jpg"]
    for result in (cwd / "outputs").glob("b.*"):
        result.unlink()
    assert names(session.make("!fix holiday/ -U2")) == ["b.png"], "its result is not there any more"


@pytest.mark.parametrize(
    "switches", ["-c top 8 -S3", "-c top 8", "-U2 -n2", "-U2,3", "-U2 --keep_inputs", "-U2 -p"]
)
def test_every_kind_of_line_is_known_again(session: Session, cwd: Path, switches: str) -> None:
    made = names(session.make(f"!fix holiday/ {switches}"))
    assert len(made) in (3, 6)
    again = list(fake_session(cwd).make(f"!fix holiday/ {switches}"))
    assert [type(event) for event in again] == [Note]
    if "-S" in switches:
        assert len(names(session.make("!fix holiday/ -c top 8 -S4"))) == 3


def test_results_are_not_taken_further_once_more(session: Session, cwd: Path) -> None:
    list(session.make("a cat -S1"))
    list(session.make("a dog -S2 -U2"))
    rendered = ["000001.1.png", "000002.2.png"]
    assert names(session.make("!fix outputs/ -U2")) == rendered
    list(session.make("a cow -S3"))
    events = list(session.make("!fix outputs/ -U2"))
    message = "; 2 of 5 images were already done; 2 of 5 skipped"
    assert message in notes(events)[0]
    assert len(names(events)) == 1
    assert len(names(session.make("!fix outputs/*.upscaled.png --watermark a"))) == 3
    assert len(names(session.make("!fix outputs/*.upscaled.png -U2 -o elsewhere"))) == 3


# ── what fails, and Ctrl-C ─────────────────────────────────────────────────────────────────────


def test_one_that_cannot_be_read_is_reported_and_the_others_go_on(
    session: Session, cwd: Path
) -> None:
    (cwd / "holiday" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    events = list(session.make("!fix holiday/ -U2"))
    (refusal,) = refusals(events)
    assert "b.png" in refusal
    assert names(events) == ["a.JPG", "c d.webp"]
    assert notes(session.make("!fix holiday/ -U2")) == [
        "1 image to fix; 2 of 3 images were already done"
    ]


def test_ctrl_c_gives_up_the_remaining_ones_and_the_next_time_goes_on(cwd: Path) -> None:
    pressed: list[bool] = []

    def press(progress: Progress) -> None:
        if len(list((cwd / "outputs").glob("*.upscaled.png"))) == 1:
            pressed.append(True)

    session = fake_session(cwd, FakeEngine(on_step=press))
    reported: list[Event] = []
    follow_until_cancelled(
        session.make_all([(1, "!fix holiday/ -U2")]), lambda: bool(pressed), reported.append
    )
    assert len(saved(reported)) == 1
    assert reported[-1] == Cancelled(finished=1, count=3)
    assert names(fake_session(cwd).make("!fix holiday/ -U2")) == ["b.png", "c d.webp"]


def _is_past(reported: Sequence[Event], at: int) -> bool:
    return len(reported) > at


def test_ctrl_c_at_every_event_counts_what_is_there(cwd: Path) -> None:
    count = len(list(fake_session(cwd).make("!fix holiday/ -U2 -o all")))
    for at in range(count):
        session = fake_session(cwd)
        reported: list[Event] = []
        line = f"!fix holiday/ -U2 -o {at}"
        follow_until_cancelled(
            session.make_all([(1, line)]), partial(_is_past, reported, at), reported.append
        )
        cancelled = [event for event in reported if isinstance(event, Cancelled)]
        made = len(saved(reported))
        if made < 3 or cancelled:
            assert cancelled == [Cancelled(finished=made, count=3)]


# ── lines among others ─────────────────────────────────────────────────────────────────────────


def test_progress_counts_over_all_lines(session: Session, cwd: Path) -> None:
    lines = list(enumerate(["a cat -S1", "!fix holiday/ -U2", "a dog -S2"], 1))
    queued = [event for event in session.make_all(lines) if isinstance(event, LineStarted)]
    assert [(event.turn, event.turns) for event in queued] == [
        *((1, 3), (2, 5), (3, 5), (4, 5), (5, 5))
    ]


def test_cancelling_a_folder_ends_the_lines_after_it(cwd: Path) -> None:
    def press(progress: Progress) -> None:
        if progress.stage == "upscale":
            raise KeyboardInterrupt

    session = fake_session(cwd, FakeEngine(on_step=press))
    events = list(session.make_all([(1, "!fix holiday/ -U2"), (2, "a dog -S2")]))
    assert events[-1] == Cancelled(finished=0, count=3)
    assert not saved(events)


def test_a_dry_run_plans_each(session: Session, cwd: Path) -> None:
    list(session.make("!fix holiday/b.png -U2"))
    events = list(session.make_all([(1, "!fix holiday/ -U2")], dry_run=True))
    planned = [event.line for event in events if isinstance(event, Planned)]
    assert [line.partition(" -")[0] for line in planned] == [
        '!fix "holiday/a.JPG"',
        '!fix "holiday/c d.webp"',
    ]


def test_more_than_a_hundred_are_asked_about_and_foreseen(session: Session, cwd: Path) -> None:
    for number in range(98):
        Image.new("RGB", (8, 8)).save(cwd / "holiday" / f"x{number:02}.png")
    context = Context(session, list, COMMANDS)
    line = "!fix holiday/ -U2"
    assert str(summarize_plan(session, line)) == "101 images, 24×16 → 48×32"
    assert is_queued(context, "!fix holiday/x*.png -U2")
    assert not is_queued(context, line)
    question = next(get_questions(context, line))
    assert question.text.startswith("101 images: 101 files")
    note, edit = run_line(context, line)
    assert isinstance(note, Note) and isinstance(edit, InsertText)
    assert edit.text == f"{line} --yes"
    assert is_queued(context, edit.text)
    assert len(saved(run_line(context, edit.text))) == 101


@pytest.mark.parametrize("named", ["-1", "-1 -2", "later/", "later/*.png", "a.png holiday/b.png"])
def test_pictures_that_lines_before_it_may_make_are_waited_for(
    session: Session, named: str
) -> None:
    Path("later").mkdir()
    assert not is_queued(Context(session, list, COMMANDS), "!fix holiday/ -Q2")
    assert is_queued(Context(session, list, COMMANDS), f"!fix {named} -U2")


# ── with the shipped upscaler ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "argv", [["!fix", "holiday/"], ["!fix", *(f"holiday/{name}" for name in ALL)], ["!fix holiday"]]
)
def test_from_the_shell(cwd: Path, capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert main(["--dry_run", *argv, "-U4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_folder_is_enlarged_by_the_shipped_upscaler(
    cwd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["!fix", "holiday/", "-U4", "--upscaler", "tiny-x4"]
    assert main(["-o", "big", "--json", *line]) == 0
    events = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    made = [event for event in events if event["event"] == "saved"]
    assert [Path(event["request"]["fix"]).name for event in made] == ALL
    for event in made:
        with Image.open(event["path"]) as image:
            assert image.size == (96, 64)
    assert main(["-o", "big", *line]) == 0
    assert "3 of 3 images were already done" in capsys.readouterr().err
    assert main(["-o", "big", "!replay", str(cwd / "big" / LOG_NAME)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
