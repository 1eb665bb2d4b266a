"""Events in one human line."""

from pathlib import Path

import pytest

from dream.core.errors import BadLine
from dream.core.events import Cancelled, Failed, LineStarted, Note, Rejected, Saved, Step, Verified
from dream.core.messages import ProgressEstimator, format_duration, format_event
from dream.core.request import Request


def step(step: int, picture: int = 1, stage: str = "render") -> Step:
    return Step(stage=stage, step=step, steps=10, picture=picture, pictures=2)


def test_every_event_is_one_line() -> None:
    path = Path("outputs/000001.7.png")
    events = [
        Saved(path=path, line='"x" -S7', sha256="0" * 64, request=Request(seed=7)),
        Note(text="width 100 becomes 96"),
        Rejected(error=BadLine("“-q” is not a switch", 3, "did you mean -s?"), number=4),
        Failed(error=BadLine("no")),
        Cancelled(finished=1, count=3),
        Verified(path="a.png", line="", same=False, differences={"threads": "2, was 1"}),
    ]
    messages = [format_event(event) for event in events]
    assert all(text and "\n" not in text for text in messages)
    assert messages[0] == "outputs/000001.7.png  (-S7)"
    assert messages[2] == "line 4: column 3: “-q” is not a switch (did you mean -s?)"
    assert messages[4] == "cancelled; 1 of 3 made"
    assert "threads 2, was 1" in (messages[5] or "")


def test_steps_go_without_saying_but_have_a_pace() -> None:
    now = [100.0]
    pace = ProgressEstimator(lambda: now[0])
    assert format_event(step(1)) is None
    assert pace.format_progress(step(1)) == "image 1/2  render 1/10"
    now[0] += 1.0
    assert pace.format_progress(step(5)) == "image 1/2  render 5/10  4.00 it/s  0:04 left"
    now[0] += 8.0
    assert pace.format_progress(step(6)) == "image 1/2  render 6/10  1.80 s/it  0:25 left"


def test_a_new_picture_or_stage_starts_a_new_pace() -> None:
    now = [0.0]
    pace = ProgressEstimator(lambda: now[0])
    pace.format_progress(step(1))
    now[0] = 50.0
    assert pace.format_progress(step(1, picture=2)) == "image 2/2  render 1/10"
    assert pace.format_progress(step(1, picture=2, stage="upscale")) == "image 2/2  upscale 1/10"
    assert pace.format_progress(LineStarted(count=1, line="", request=Request())) is None


def test_steps_that_begin_again_start_a_new_pace() -> None:
    """`!verify` renders one image after the other, and each is the first of its line."""
    now = [0.0]
    pace = ProgressEstimator(lambda: now[0])
    for second in range(10):
        now[0] = second / 10
        pace.format_progress(step(second + 1, picture=1))
    now[0] = 20.0
    assert pace.format_progress(step(1, picture=1)) == "image 1/2  render 1/10"
    now[0] += 0.1
    assert pace.format_progress(step(2, picture=1)) == (
        "image 1/2  render 2/10  10.00 it/s  0:02 left"
    )


def test_what_is_fetched_is_told_in_megabytes() -> None:
    now = [0.0]
    pace = ProgressEstimator(lambda: now[0])

    def arrived(count: int, of: int = 60_000_000) -> str | None:
        return pace.format_progress(
            Step(stage="fetch", step=count, steps=of, picture=1, pictures=1)
        )

    assert arrived(1_000_000) == "downloading 1.0 of 60.0 MB"
    now[0] = 2.0
    assert arrived(11_000_000) == "downloading 11.0 of 60.0 MB  5.0 MB/s  0:10 left"
    assert arrived(11_000_000, of=0) == "downloading 11.0 MB  5.0 MB/s"


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (3723, "1:02:03")],
)
def test_duration(seconds: float, clock: str) -> None:
    assert format_duration(seconds) == clock


def test_the_lines_of_a_file_are_one_progress() -> None:
    now = [0.0]
    pace = ProgressEstimator(lambda: now[0])

    def line(turn: int) -> str | None:
        pace.format_progress(LineStarted(count=1, line="", request=Request(), turn=turn, turns=10))
        for number in (1, 2, 3, 4):
            now[0] += 1
            text = pace.format_progress(Step(step=number, steps=4, picture=1, pictures=1))
        return text

    assert line(1) == "line 1/10  render 4/4  1.00 it/s  0:00 left"
    assert line(2) == "line 2/10  render 4/4  1.00 it/s  0:32 left"
    pace.format_progress(LineStarted(count=1, line="", request=Request()))
    assert pace.format_progress(Step(step=1, steps=4, picture=1, pictures=1)) == "render 1/4"
