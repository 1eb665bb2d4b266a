"""How far apart pictures are that a log's lines make again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from dream.cli.batch import EventPrinter, run
from dream.core.events import Events, Saved, Verified
from dream.core.interrupts import Interrupts
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine.interface import EngineEvents
from dream.session.verify import PixelDifference
from tests.fakes import FakeEngine, fake_session


class Off(FakeEngine):
    """Another processor: the first row of each picture is off by so much in one channel."""

    off = 0

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        for event in super().render(recipe, every):
            if isinstance(event, Picture) and self.off:
                image = event.image.copy()
                for x in range(image.width):
                    red, green, blue = image.getpixel((x, 0))  # type: ignore[misc]
                    green = green + self.off if green < 128 else green - self.off
                    image.putpixel((x, 0), (red, green, blue))
                yield Picture(image, event.recipe, event.facts)
            else:
                yield event


def one(events: Events[None]) -> Verified:
    (verified,) = (event for event in events if isinstance(event, Verified))
    return verified


@pytest.mark.parametrize(
    ("off", "verdict", "status", "message"),
    [
        (0, "same", 0, ""),
        (1, "near", 0, "differs by at most 1 of 255 in 1.6 % of pixels"),
        (2, "DIFFERS", 1, "differs by at most 2 of 255 in 1.6 % of pixels"),
    ],
)
def test_it_is_said_how_far_a_picture_is_off(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    off: int,
    verdict: str,
    status: int,
    message: str,
) -> None:
    engine = Off()
    session = fake_session(tmp_path, engine)
    list(session.make("a cat -S1"))
    engine.off = off
    (log,) = tmp_path.rglob("dream_log.txt")
    verified = one(session.verify(log))
    assert (verified.same, verified.near) == (off == 0, off == 1)
    assert message in str(verified.differences)
    voice = EventPrinter(as_json=False, out=sys.stdout, err=sys.stderr)
    with Interrupts() as interrupts:
        assert run(session.verify(log), voice, interrupts) == status
    assert capsys.readouterr().out.startswith(verdict)


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (1.0, "100"),
        (0.997, "100"),
        (0.123456, "12"),
        (0.1, "10"),
        (0.00015, "0.015"),
        (2e-8, "0.000002"),
    ],
)
def test_shares_are_plain_numbers(share: float, says: str) -> None:
    assert str(PixelDifference(3, share)) == f"at most 3 of 255 in {says} % of pixels"


def test_the_original_is_sought_beside_a_log_that_was_moved(tmp_path: Path) -> None:
    engine = Off()
    session = fake_session(tmp_path, engine)
    list(session.make("a cat -S1"))
    engine.off = 1
    moved = (tmp_path / "outputs").rename(tmp_path / "moved")
    assert one(session.verify(moved / "dream_log.txt")).near


def test_the_original_is_found_beside_a_log_that_windows_wrote(tmp_path: Path) -> None:
    engine = Off()
    session = fake_session(tmp_path, engine)
    list(session.make("a cat -S1"))
    engine.off = 1
    moved = (tmp_path / "outputs").rename(tmp_path / "moved")
    log = moved / "dream_log.txt"
    path, colon, rest = log.read_text(encoding="utf-8").partition(": ")
    log.write_text("C:\\pictures\\" + Path(path).name + colon + rest, encoding="utf-8")
    assert one(session.verify(log)).near


def test_another_picture_in_the_file_s_place_is_not_compared_with(tmp_path: Path) -> None:
    engine = Off()
    session = fake_session(tmp_path, engine)
    (saved,) = (event for event in session.make("a cat -S1") if isinstance(event, Saved))
    Image.new("RGB", (64, 64)).save(saved.path)
    engine.off = 1
    (log,) = tmp_path.rglob("dream_log.txt")
    verified = one(session.verify(log))
    assert (verified.same, verified.near) == (False, False)
    assert verified.differences["picture"] == "is not the recorded one"
