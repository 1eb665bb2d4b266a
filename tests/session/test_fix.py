"""!fix: files taken further; what they say, what is said of them, and what is kept when it fails.

With the fake engine, which darkens a picture at every stage, and grows it as a stage would.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dream.core.errors import FinishError
from dream.core.events import (
    Cancelled,
    Event,
    Failed,
    Note,
    Planned,
    Rejected,
    Saved,
    Step,
    Verified,
)
from dream.core.stages import UPSCALE
from dream.engine.interface import Progress
from dream.gallery import LOG_NAME, read_record
from dream.gallery.png import read_chunks
from dream.line import parse_line, parse_log_line
from dream.session import Session, summarize_plan
from dream.session.image_prompts import read_logged_line
from tests.fakes import FakeEngine, fake_session


def saved(events: Iterable[Event]) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved)]


def refusal(events: Iterable[Event]) -> str:
    (event,) = events
    assert isinstance(event, Rejected), event
    return str(event.error)


def pixels(path: Path) -> tuple[tuple[int, int], bytes]:
    with Image.open(path) as image:
        return image.size, image.tobytes()


def log_of(folder: Path) -> list[str]:
    return (folder / "outputs" / LOG_NAME).read_text().splitlines()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """One that has made a picture, `000001.7.png`."""
    session = fake_session(tmp_path)
    list(session.make("a red circle [dogs] -S7 -s2 -C5"))
    return session


def photo(folder: Path) -> Path:
    path = folder / "photo.jpg"
    Image.new("RGB", (50, 30), "green").save(path)
    return path


def test_a_picture_is_taken_further_in_its_own_words(session: Session, tmp_path: Path) -> None:
    (event,) = saved(session.make("!fix 000001.7.png -U2 -c right 16"))
    assert event.path.name == "000001.7.outcropped.upscaled.png"
    assert pixels(event.path)[0] == (160, 128), "outcropped first, whatever was said first"
    its = event.request
    assert (its.prompt, its.seed, its.steps, its.cfg_scale) == ("a red circle [dogs]", 7, 2, 5)
    assert event.line.startswith('!fix "')
    assert not read_chunks(event.path)["Dream"].startswith("!"), "words and seed, as ever"
    record = read_record(event.path)
    assert (record.line, record.sha256) == (event.line, event.sha256)
    assert record.origin == read_record(tmp_path / "outputs" / "000001.7.png").line
    assert [step["stage"] for step in record.steps] == ["outcrop", "upscale"]
    assert [step["size"] for step in record.steps] == ["80x64", "160x128"]
    assert record.steps[-1]["sha256"] == event.sha256


def test_chained_is_one_by_one(session: Session) -> None:
    switches = ["-c top 8", "-D left 5", "-embiggen 2", "-U2", "--watermark dream"]
    (at_once,) = saved(session.make("!fix 000001.7.png " + " ".join(reversed(switches))))
    list(session.make(f"!fix 000001.7.png {switches[0]}"))
    for switch in switches[1:]:
        (last,) = saved(session.make(f"!fix -1 {switch}"))
    assert pixels(last.path) == pixels(at_once.path)
    assert last.path.name == at_once.path.name.replace(".png", ".01.png")
    one, other = read_record(at_once.path), read_record(last.path)
    assert [step["sha256"] for step in one.steps] == [step["sha256"] for step in other.steps]
    assert one.origin == other.origin


def test_it_is_logged_replayed_and_verified(session: Session, tmp_path: Path) -> None:
    (event,) = saved(session.make("!fix -1 -U2"))
    line = log_of(tmp_path)[-1]
    assert " fix:" in line
    assert line == read_logged_line(event.path), "what a crash would have lost is in the PNG"
    events = list(session.make(line))
    assert not [event.text for event in events if isinstance(event, Note)], "nothing is ignored"
    (again,) = saved(events)
    assert (again.sha256, again.line) == (event.sha256, event.line)
    assert again.path != event.path
    (verified,) = [e for e in verify(session, line, tmp_path) if isinstance(e, Verified)]
    assert verified.same
    Image.new("RGB", (64, 64)).save(tmp_path / "outputs" / "000001.7.png")
    events = verify(session, line, tmp_path)
    assert any("has changed" in event.text for event in events if isinstance(event, Note))
    assert not next(event for event in events if isinstance(event, Verified)).same


def test_it_keeps_the_number_of_threads(session: Session, tmp_path: Path) -> None:
    """Several workers on one processor write it into their lines; it is an upscale's too."""
    events = list(session.make("!fix -1 -U2 --threads 1"))
    assert not [event.text for event in events if isinstance(event, Note)]
    assert " --threads=1" in log_of(tmp_path)[-1]


def verify(session: Session, line: str, folder: Path) -> list[Event]:
    (folder / "one.txt").write_text(line + "\n")
    return list(session.verify(folder / "one.txt"))


def test_a_settled_line_is_settled_again_as_it_was(session: Session, tmp_path: Path) -> None:
    lines = [
        "!fix 000001.7.png -c left 9 -f0.5",
        "!fix -1 -embiggen_tiles 1",
        "x -S3 -embiggen 3 -D top",
    ]
    for line in [*lines, f"!fix {photo(tmp_path)} -S4 --new_prompt x -U4 --watermark a"]:
        (recipe,) = session.resolve(session.parse_line(line)).recipes
        logged = parse_log_line(f"a.png: {line_of(session, line)}")
        assert session.resolve(parse_line(logged.line)).recipes == (recipe,)


def line_of(session: Session, line: str) -> str:
    (planned,) = [event for event in session.plan(line) if isinstance(event, Planned)]
    return planned.line


def test_a_camera_s_picture_needs_no_record(session: Session, tmp_path: Path) -> None:
    path = photo(tmp_path)
    events = list(session.make(f'!fix "{path}" -U2 -S1'))
    (event,) = saved(events)
    assert event.path.name == "photo.upscaled.png"
    assert parse_line(read_chunks(event.path)["Dream"]) == event.request, "nothing else tells of it"
    assert not [e for e in events if isinstance(e, Note)], "a network needs no words"
    (note,) = [e for e in session.plan(f'!fix "{path}" -c top 8') if isinstance(e, Note)]
    assert "contains no prompt" in note.text
    (event,) = saved(session.make(f'!fix "{path}" -c top 8 --new_prompt "a forest"'))
    assert event.request.prompt == "a forest"
    assert pixels(event.path)[0] == (50, 38)


def test_a_model_that_is_not_here_is_missed_only_where_it_paints(
    session: Session, tmp_path: Path
) -> None:
    (event,) = saved(session.make("!fix -1 -U2"))
    text = PngInfo()
    text.add_text("Dream", event.line.replace("--model=tiny", "--model=elsewhere"))
    Image.new("RGB", (64, 64)).save(tmp_path / "theirs.png", pnginfo=text)
    (event,) = saved(session.make(f"!fix {tmp_path}/theirs.png -U2"))
    assert event.request.model == "elsewhere"
    (line,) = log_of(tmp_path)[-1:]
    assert [again.sha256 for again in saved(session.make(line))] == [event.sha256]
    assert "elsewhere" in refusal(session.make(f"!fix {tmp_path}/theirs.png -c top 8"))
    assert saved(session.make(f"!fix {tmp_path}/theirs.png -c top 8 --model tiny"))


def test_a_file_dropped_on_the_terminal_is_found(session: Session, tmp_path: Path) -> None:
    photo(tmp_path).rename(tmp_path / "my photo.jpg")
    assert saved(session.make(f"!fix '{tmp_path}/my photo.jpg' -U2"))


def test_what_came_before_a_failing_stage_is_kept(tmp_path: Path) -> None:
    failing = FakeEngine(finish_fails=lambda r, s: FinishError("no") if s == UPSCALE else None)
    session = fake_session(tmp_path, failing)
    events = list(session.make("x -S1 -c top 8 -U2 --watermark a -W256 -H256"))
    assert [str(e.error) for e in events if isinstance(e, Failed)] == ["no"]
    (event,) = saved(events)
    assert "-c top 8" in event.line and "-U" not in event.line and "--watermark" not in event.line
    assert pixels(event.path)[0] == (256, 264)
    assert not saved(session.make("!fix -1 -U2")), "the file itself is there already"
    (fixed,) = saved(session.make("!fix -1 -c top 8 -U2"))
    assert fixed.path.name == "000001.1.outcropped.png"


def test_ctrl_c_keeps_the_stage_before(tmp_path: Path) -> None:
    def press(progress: Progress) -> None:
        if progress.stage == "upscale":
            raise KeyboardInterrupt

    session = fake_session(tmp_path, FakeEngine(on_step=press))
    events = list(session.make("x -s1 -c top 8 -U2"))
    assert [pixels(event.path)[0] for event in saved(events)] == [(64, 72)]
    assert events[-1] == Cancelled(finished=1, count=1)
    assert [e.name for e in session.make("!fix -1 -U2")] == ["queued", "cancelled"]


def test_embiggen_with_a_picture_to_start_from_takes_that_picture(
    session: Session, tmp_path: Path
) -> None:
    events = list(session.make(f"a forest -I {photo(tmp_path)} -f0.3 -embiggen 2"))
    (event,) = saved(events)
    assert event.line.startswith("!fix")
    assert event.request.embiggen_strength == 0.3
    assert pixels(event.path)[0] == (100, 60)
    assert {event.stage for event in events if isinstance(event, Step)} == {"embiggen"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("!fix", "takes an image file"),
        (
            "!fix 000001.7.png",
            "nothing to do (add one or more of -c -D -embiggen -G -U --watermark)",
        ),
        ("!fix -1 -embiggen_strength 0.3", "has nothing to do"),
        ("!fix 000001.8.png -U2", "there is no 000001.8.png"),
        ("!fix -2 -U2", "there is no image -2 in this session (1 so far)"),
        ("!fix -1 -U2 -I a.png", "there is no a.png"),
        ("!fix -1 -U2 -I -1", "-I is not supported with !fix"),
        ("!fix -1 -c up 8", "-c takes sides"),
        (
            "!fix -1 --watermark dream",
            "the --watermark has 5 bytes, too many for an image of 64x64 pixels",
        ),
        ("x -W256 -H256 --watermark twentycharacters....", "use at most 19 bytes"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(
    session: Session, line: str, message: str
) -> None:
    assert message in refusal(session.make(line))


def test_the_inputs_copy_has_the_first_ones_name(session: Session, tmp_path: Path) -> None:
    (event,) = saved(session.make(f"!fix {photo(tmp_path)} -U2 --keep_inputs"))
    assert event.path.name == "photo.upscaled.png"
    assert "/inputs/" in event.line


def test_lines_of_a_file_follow_each_other(session: Session, tmp_path: Path) -> None:
    lines = list(enumerate(["x -S5", "!fix -1 -c left 8", "!fix -1 -U 2,1 -n2"], 1))
    planned = [e for e in session.make_all(lines, dry_run=True) if isinstance(e, Planned)]
    assert len(planned) == 4
    made = saved(session.make_all(lines))
    assert [pixels(event.path)[0] for event in made] == [(64, 64), (72, 64), (144, 128), (144, 128)]
    assert {event.to_json()["request"]["prompt"] for event in made} == {"x"}


def test_what_a_line_would_make_is_foreseen(session: Session) -> None:
    assert (
        str(summarize_plan(session, "!fix 000001.7.png -c right 16 -U2"))
        == "1 image, 64×64 → 160×128"
    )
    assert str(summarize_plan(session, "x -s5 -c top 6")) == "1 image, 64×64 → 64×70, 5 steps"


def test_seeds_of_this_session_are_of_rendered_pictures(session: Session) -> None:
    list(session.make("!fix -1 -U2"))
    assert session.seeds == [7]
