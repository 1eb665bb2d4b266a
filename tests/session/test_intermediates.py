"""--save_intermediates: where pictures in the making are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.core.events import Cancelled, Note, Saved
from dream.engine.interface import Progress
from dream.gallery import LOG_NAME
from dream.gallery.png import read_chunks
from tests.fakes import FakeEngine, fake_session


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "outputs" / "intermediates").iterdir())


def test_they_are_kept_in_order_and_said_in_one_line(tmp_path: Path) -> None:
    events = list(fake_session(tmp_path).make("a cat -S42 -n2 -s7 --save_intermediates 3"))
    first, second = (event.request.seed for event in events if isinstance(event, Saved))
    names = [f"000001.{seed}.{step:04}.png" for seed in (first, second) for step in (3, 6)]
    assert kept(tmp_path) == sorted(names)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [f"intermediate images are saved in {tmp_path}/outputs/intermediates"]


def test_they_are_no_pictures_of_the_log_and_no_part_of_its_lines(tmp_path: Path) -> None:
    list(fake_session(tmp_path).make("a cat -S42 -s6 --save_intermediates 2"))
    (line,) = (tmp_path / "outputs" / LOG_NAME).read_text().splitlines()
    assert "intermediates" not in line
    chunks = read_chunks(tmp_path / "outputs" / "intermediates" / "000001.42.0002.png")
    assert "Dream" not in chunks and '"step": 2' in chunks["dream_record"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "intermediates"
    folder.mkdir(parents=True)
    (folder / "000001.42.0002.png").write_text("mine")
    list(fake_session(tmp_path).make("a cat -S42 -s4 --save_intermediates 2"))
    assert (folder / "000001.42.0002.png").read_text() == "mine"
    assert "000001.42.0002.01.png" in kept(tmp_path)


def test_a_cancelled_picture_leaves_them(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    session = fake_session(tmp_path, FakeEngine(on_step=interrupt))
    events = list(session.make("a cat -S42 -s8 --save_intermediates 2"))
    assert isinstance(events[-1], Cancelled)
    assert kept(tmp_path) == ["000001.42.0002.png", "000001.42.0004.png"]


def test_a_folder_that_cannot_be_written_costs_no_picture(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "intermediates").write_text("a file in its place")
    events = list(fake_session(tmp_path).make("a cat -S42 -s4 --save_intermediates 2"))
    assert [event for event in events if isinstance(event, Saved)]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes and all("was not saved: cannot write to" in note for note in notes)


@pytest.mark.parametrize("switch", ["", "--save_intermediates 0", "--save_intermediates 9"])
def test_no_folder_for_none(tmp_path: Path, switch: str) -> None:
    list(fake_session(tmp_path).make(f"a cat -S42 -s4 {switch}"))
    assert not (tmp_path / "outputs" / "intermediates").exists()
