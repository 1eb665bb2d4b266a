"""One line through the house, with the fake engine: what is said, kept, lost and made again."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.core.errors import EngineError, FinishError, OutOfMemory
from dream.core.events import (
    Cancelled,
    Event,
    Failed,
    Grid,
    ImageDone,
    LineStarted,
    Note,
    Planned,
    Rejected,
    Saved,
    Step,
    Verified,
)
from dream.core.request import Request
from dream.engine.interface import Progress
from dream.gallery import LOG_NAME, read_record
from dream.line import parse_log_line
from dream.session import derive_seeds
from tests.fakes import FakeEngine, fake_session


def saved(events: Iterable[Event]) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved)]


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def log_of(folder: Path) -> list[str]:
    return (folder / "outputs" / LOG_NAME).read_text().splitlines()


def test_what_is_said_of_one_line(tmp_path: Path) -> None:
    events = list(fake_session(tmp_path).make("a red circle -n2 -S42 -s3"))
    assert [type(event) for event in events] == [
        LineStarted,
        *[Step, Step, Step, ImageDone, Saved] * 2,
    ]
    first, second = saved(events)
    assert first.path.name == "000001.42.png"
    assert second.path.name == f"000001.{derive_seeds(42, 2)[1]}.png"
    numbers = "-s3 -S42 -W64 -H64 -C7.5 -Adpmpp_2m_karras --schedule=karras"
    assert first.line == f'"a red circle" {numbers} --syntax=invokeai --model=tiny'


def test_png_log_and_event_agree(tmp_path: Path) -> None:
    (event,) = saved(fake_session(tmp_path).make("a cat -S7"))
    record = read_record(event.path)
    assert record.line == event.line
    assert record.sha256 == event.sha256
    assert record.facts["device"] == "fake"
    (line,) = log_of(tmp_path)
    assert line.startswith(f"{event.path.as_posix()}: {event.line} # sha256:{event.sha256[:16]}")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=st.text(max_size=60), steps=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_law_2_a_logged_line_is_the_same_recipe(
    tmp_path: Path, prompt: str, steps: int, seed: int
) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine)
    (event,) = saved(session.make(Request(prompt=prompt, steps=steps, seed=seed)))
    line = log_of(tmp_path)[-1]
    (again,) = saved(session.make(line))
    assert engine.rendered[0] == engine.rendered[1]
    assert (again.sha256, again.line) == (event.sha256, event.line)


def test_a_logged_line_is_not_bent_by_this_sessions_defaults(tmp_path: Path) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine)
    list(session.make("a cat -S1"))
    session.base = Request(
        outdir=session.base.outdir, steps=2, negative="dogs", iterations=3, upscale=None, grid=True
    )
    list(session.make(log_of(tmp_path)[0]))
    assert engine.rendered == [engine.rendered[0]] * 2


def test_nothing_is_overwritten_and_numbers_rise(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    paths = [saved(session.make("x -S1"))[0].path.name for _ in range(3)]
    assert paths == ["000001.1.png", "000002.1.png", "000003.1.png"]


def test_a_negative_seed_counts_each_picture_once(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    list(session.make("x -S10"))
    list(session.make("x -S20 -U2 -save_orig"))
    assert saved(session.make("x -S-2"))[0].request.seed == 10
    assert saved(session.make("x -S-2"))[0].request.seed == 20


def test_upscaled_takes_the_files_place(tmp_path: Path) -> None:
    (event,) = saved(fake_session(tmp_path).make("x -S1 -U2"))
    assert event.path.name == "000001.1.png"
    assert size_of(event.path) == (128, 128)
    assert "-U 2 0.75" in event.line
    assert len(log_of(tmp_path)) == 1


def test_the_original_is_kept_where_asked(tmp_path: Path) -> None:
    raw, large = saved(fake_session(tmp_path).make("x -S1 -U2 -save_orig"))
    assert (raw.path.name, large.path.name) == ("000001.1.png", "000001.1.upscaled.png")
    assert "-U" not in raw.line
    assert [parse_log_line(line).line for line in log_of(tmp_path)] == [raw.line, large.line]


@pytest.mark.parametrize("switches", ["-U2", "-U2 -save_orig"])
def test_a_failing_upscaler_leaves_the_raw_picture(tmp_path: Path, switches: str) -> None:
    engine = FakeEngine(finish_fails=lambda recipe, stage: FinishError("tile 3 of 9 failed"))
    events = list(fake_session(tmp_path, engine).make(f"x -S1 {switches}"))
    assert [str(event.error) for event in events if isinstance(event, Failed)] == [
        "tile 3 of 9 failed"
    ]
    (raw,) = saved(events)
    assert "-U" not in raw.line
    assert size_of(raw.path) == (64, 64)


def test_a_picture_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    bad = derive_seeds(5, 3)[1]
    engine = FakeEngine(fails=lambda r: OutOfMemory("no memory") if r.seed == bad else None)
    events = list(fake_session(tmp_path, engine).make("x -S5 -n3"))
    assert len(saved(events)) == 2
    assert len([event for event in events if isinstance(event, Failed)]) == 1


def test_a_bad_line_renders_nothing(tmp_path: Path) -> None:
    engine = FakeEngine()
    (event,) = fake_session(tmp_path, engine).make("a cat -s0", 12)
    assert isinstance(event, Rejected)
    assert event.number == 12
    assert not engine.rendered
    assert event.to_json()["column"] == 9, "the value, behind its switch"


def test_an_unknown_model_is_refused_with_near_names(tmp_path: Path) -> None:
    (event,) = fake_session(tmp_path).make("a cat --model tinny")
    assert isinstance(event, Rejected)
    assert "tiny" in str(event.error)


def interrupt_at(count: int) -> FakeEngine:
    def press(progress: Progress) -> None:
        nonlocal count
        count -= 1
        if count == 0:
            raise KeyboardInterrupt

    return FakeEngine(on_step=press)


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    engine = interrupt_at(5)
    session = fake_session(tmp_path, engine)
    events = list(session.make("x -n4 -s3 -g"))
    assert len(saved(events)) == 1
    assert isinstance(events[-1], Grid)
    assert Cancelled(finished=1, count=4) in events
    assert len(engine.given_up) == 1
    assert saved(session.make("y -s1")), "the session goes on"


def test_ctrl_c_while_showing_is_the_same(tmp_path: Path) -> None:
    engine = FakeEngine()
    events = fake_session(tmp_path, engine).make("x -n2")
    while not isinstance(next(events), Step):
        pass
    assert events.throw(KeyboardInterrupt()) == Cancelled(finished=0, count=2)
    assert len(engine.given_up) == 1


def test_ctrl_c_while_upscaling_keeps_the_raw_picture(tmp_path: Path) -> None:
    events = list(fake_session(tmp_path, interrupt_at(4)).make("x -s3 -U2"))
    (raw,) = saved(events)
    assert "-U" not in raw.line
    assert events[-1] == Cancelled(finished=1, count=1)


def test_closing_cancels_silently(tmp_path: Path) -> None:
    engine = FakeEngine()
    events = fake_session(tmp_path, engine).make("x -n2 -g")
    while not isinstance(next(events), Saved):
        pass
    next(events)
    events.close()
    assert len(log_of(tmp_path)) == 1


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    engine = FakeEngine()
    first, second = fake_session(tmp_path, engine).plan("x -n2 -S3")
    assert isinstance(first, Planned)
    assert isinstance(second, Planned)
    assert (first.request.seed, second.request.seed) == tuple(derive_seeds(3, 2))
    assert not engine.rendered
    assert not (tmp_path / "outputs").exists()


def test_a_grid_is_an_extra_file_and_a_comment(tmp_path: Path) -> None:
    events = list(fake_session(tmp_path).make("x -n4 -g"))
    (grid,) = [event for event in events if isinstance(event, Grid)]
    assert size_of(grid.path) == (128, 128)
    assert len(pictures := saved(events)) == 4
    assert log_of(tmp_path)[-1].startswith("#")
    line = log_of(tmp_path)[-1].partition(": ")[2]
    again = list(fake_session(tmp_path / "again").make(line))
    assert [event.sha256 for event in saved(again)] == [event.sha256 for event in pictures]


def test_prompt_as_dir(tmp_path: Path) -> None:
    (event,) = saved(fake_session(tmp_path).make("a/b: c? -p"))
    assert event.path.parent == tmp_path / "outputs" / "a_b_ c_"


def test_replay_takes_logs_and_lists_and_numbers_what_it_refuses(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    file = tmp_path / "lines.txt"
    file.write_text('# a comment\n\na cat -S1\n// no\noutputs/0.png: "a dog" -s2 -S 3\na cow -s0\n')
    events = list(session.replay(file))
    assert [event.request.prompt for event in saved(events)] == ["a cat", "a dog"]
    assert [event.number for event in events if isinstance(event, Rejected)] == [6]


def test_cancelling_one_line_of_a_file_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("a\nb\nc\n")
    events = list(fake_session(tmp_path, interrupt_at(4)).replay(file))
    assert len(saved(events)) == 1
    assert isinstance(events[-1], Cancelled)


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    for events in (fake_session(tmp_path).replay, fake_session(tmp_path).verify):
        (event,) = events(tmp_path / "missing.txt")
        assert isinstance(event, Rejected)


def test_verify_says_same(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    list(session.make("a cat -n2 -U2 -save_orig -g"))
    before = sorted(tmp_path.rglob("*"))
    events = list(session.verify(tmp_path / "outputs" / LOG_NAME))
    verified = [event for event in events if isinstance(event, Verified)]
    assert [event.same for event in verified] == [True] * 4
    assert isinstance(events[-1], Note)
    assert events[-1].text.startswith("4 same, 0 different")
    assert sorted(tmp_path.rglob("*")) == before, "nothing is saved"


def test_verify_names_what_differs(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    list(session.make("a cat -S1"))
    log = tmp_path / "outputs" / LOG_NAME
    line = log.read_text()
    log.write_text(line.replace("sha256:", "sha256:0000"))
    (event, _) = [e for e in session.verify(log) if isinstance(e, Verified | Note)]
    assert isinstance(event, Verified)
    assert not event.same
    assert "picture" in event.differences


def test_verify_names_the_recorded_circumstances(tmp_path: Path) -> None:
    list(fake_session(tmp_path).make("a cat -S1"))
    log = tmp_path / "outputs" / LOG_NAME

    class Elsewhere(FakeEngine):
        def render(self, recipe, every=0):  # type: ignore[no-untyped-def]
            for item in super().render(recipe):
                if hasattr(item, "facts"):
                    inverted = item.image.point(lambda value: 255 - value)
                    facts = {**item.facts, "threads": "8"}
                    item = type(item)(inverted, recipe, facts)
                yield item

    events = fake_session(tmp_path, Elsewhere()).verify(log)
    (event,) = [event for event in events if isinstance(event, Verified)]
    assert event.differences["threads"] == "8, was 1"


def test_verify_names_what_was_done_to_save_memory_then_or_now(tmp_path: Path) -> None:
    class InTiles(FakeEngine):
        facts: dict[str, str]

        def render(self, recipe, every=0):  # type: ignore[no-untyped-def]
            for item in super().render(recipe):
                if hasattr(item, "facts"):
                    facts = {**item.facts, "processor": "fake", **self.facts}
                    image = item.image.point(lambda value: value ^ len(self.facts))
                    item = type(item)(image, recipe, facts)
                yield item

    whole, tiled = InTiles(), InTiles()
    whole.facts, tiled.facts = {}, {"memory": "VAE in tiles"}
    for folder, then, now, message in (
        ("one", tiled, whole, "as usual, was VAE in tiles"),
        ("two", whole, tiled, "VAE in tiles, was as usual"),
    ):
        list(fake_session(tmp_path / folder, then).make("a cat -S1"))
        session = fake_session(tmp_path / folder, now)
        events = list(session.verify(tmp_path / folder / "outputs" / LOG_NAME))
        (event,) = [event for event in events if isinstance(event, Verified)]
        assert event.differences.keys() == {"picture", "memory"}
        assert event.differences["memory"] == message


def test_a_line_without_a_record_cannot_be_compared(tmp_path: Path) -> None:
    log = tmp_path / "old.txt"
    log.write_text('outputs/1.png: "a cat" -s2 -S3\n')
    events = list(fake_session(tmp_path).verify(log))
    assert isinstance(events[0], Note)
    assert "no record" in events[0].text


def test_an_engine_without_a_picture_is_a_bug_we_name(tmp_path: Path) -> None:
    class Empty(FakeEngine):
        def render(self, recipe, every=0):  # type: ignore[no-untyped-def]
            yield from ()

    (event,) = [e for e in fake_session(tmp_path, Empty()).make("x") if isinstance(e, Failed)]
    assert isinstance(event.error, EngineError)


def test_ctrl_c_before_the_first_picture(tmp_path: Path) -> None:
    engine = FakeEngine()
    events = fake_session(tmp_path, engine).make("x -n2")
    assert isinstance(next(events), LineStarted)
    assert events.throw(KeyboardInterrupt()) == Cancelled(finished=0, count=2)
    assert not engine.rendered


@pytest.mark.parametrize(("engine", "known"), [(None, False), ("torch", False), ("auto", True)])
def test_a_prompt_expects_a_line_of_its_defaults_where_that_can_be_prepared(
    tmp_path: Path, engine: str | None, known: bool
) -> None:
    fake = FakeEngine()
    session = fake_session(tmp_path, fake)
    before = session.rng.getstate()
    session.base = replace(session.base, engine=engine, steps=7)
    session.preload()
    (expected,) = fake.expected
    assert fake.warmed == ["tiny"] and (expected is not None) is known
    if expected is not None:
        assert (expected.width, expected.steps, expected.engine) == (64, 7, engine)
    assert session.rng.getstate() == before, "it draws no seed"


def test_a_prompt_loads_its_model_though_its_defaults_make_no_line(tmp_path: Path) -> None:
    fake = FakeEngine()
    session = fake_session(tmp_path, fake)
    session.base = replace(session.base, engine="auto", init_img="gone.png")
    session.preload()
    assert (fake.warmed, fake.expected) == (["tiny"], [None])
