from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dream.commands import COMMANDS, Context, ShowImage, TextOutput, run_line
from dream.core.events import Event, Note, Rejected, Saved
from dream.gallery import read_record
from dream.postprocess.watermark import embed_watermark
from dream.session import Session
from tests.fakes import fake_session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path)


def events_of(session: Session, line: str) -> list[Event]:
    return list(run_line(Context(session, list, COMMANDS), line))


def made(session: Session, line: str) -> Path:
    (saved,) = (event for event in events_of(session, line) if isinstance(event, Saved))
    return saved.path


def refusal(session: Session, line: str) -> str:
    (event,) = events_of(session, line)
    assert isinstance(event, Rejected)
    return str(event.error)


def test_show_finds_the_last_pictures_and_files(session: Session) -> None:
    first, second = made(session, "a cat -S1"), made(session, "a dog -S2")
    assert events_of(session, "!show -1") == [ShowImage(path=second)]
    assert events_of(session, "!show -2") == [ShowImage(path=first)]
    assert events_of(session, f"!show {first.name}") == [ShowImage(path=first)]
    assert "there is no image -3" in refusal(session, "!show -3")
    assert "there is no" in refusal(session, "!show nothing.png")
    assert "needs a file name" in refusal(session, "!show")


def test_what_is_no_picture_is_refused_before_it_is_shown(session: Session, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "is not a regular file" in refusal(session, "!show pipe.png")
    assert "is not an image" in refusal(session, "!show page.png")


def test_info_tells_all(session: Session) -> None:
    path = made(session, "a cat -S1 -s4")
    (page,) = events_of(session, "!info -1")
    assert isinstance(page, TextOutput)
    rows = {row[0].strip(): row[1] for row in page.lines if isinstance(row, tuple)}
    assert page.lines[0] == path.as_posix()
    assert rows["size"] == f"64 x 64 pixels, {path.stat().st_size:,} bytes"
    assert rows["line"].startswith('"a cat" -s4 -S1')
    assert len(rows["sha256"]) == 64
    assert (rows["seed"], rows["steps"], rows["device"]) == ("1", "4", "fake")


def test_info_shows_other_programs_texts_as_they_are(session: Session, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat\nNegative prompt: dark\nSteps: 20")
    info.add_text("workflow", "x" * 5000)
    Image.new("RGB", (5, 3)).save(tmp_path / "theirs.png", pnginfo=info)
    (page,) = events_of(session, "!info theirs.png")
    assert isinstance(page, TextOutput)
    assert ("  size", f"5 x 3 pixels, {Path('theirs.png').stat().st_size:,} bytes") in page.lines
    assert "  Negative prompt: dark" in page.lines
    assert page.lines[-1] == "  … and 3000 characters more"
    Image.new("RGB", (5, 3)).save(tmp_path / "silent.png")
    (page,) = events_of(session, "!info silent.png")
    assert isinstance(page, TextOutput)
    assert page.lines[-1] == "  it has no record of how it was made"


def test_info_tells_what_was_done_and_what_is_hidden(session: Session, tmp_path: Path) -> None:
    made(session, "a cat -S1 -W128 -H128")
    path = made(session, "!fix -1 -U2")
    (page,) = events_of(session, "!info -1")
    assert isinstance(page, TextOutput)
    assert ("  rendered by", read_record(path).origin) in page.lines
    assert "step 1:" in page.lines and ("  line", "-U 2 0.75") in page.lines
    with Image.open(path) as image:
        marked = embed_watermark(image, "dream")
    marked.save("marked.png")
    marked.save("marked.jpg", quality=90)
    for name in ("marked.png", "marked.jpg"):
        (page,) = events_of(session, f"!info {name}")
        assert isinstance(page, TextOutput)
        assert ("  watermark", "dream") in page.lines
        assert page.lines[1][1].startswith("256 x 256 pixels")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_info_of_what_is_no_picture(session: Session, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert "cannot read a.png: it is not a complete PNG" in refusal(session, "!info a.png")
    assert "there is no b.png" in refusal(session, "!info b.png")


def test_open_hands_the_picture_to_the_desktop(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    path = made(session, "a cat -S1")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "there is no desktop" in refusal(session, "!open -1")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no desktop" in refusal(session, "!open -1")
    opener = tmp_path / "xdg-open"
    done = tmp_path / "opened"
    opener.write_text(f'#!/bin/sh\necho "$1" > {done}.tmp\n/bin/mv {done}.tmp {done}\n')
    opener.chmod(0o755)
    (note,) = events_of(session, "!open -1")
    assert note == Note(text=f"opening {path.as_posix()}")
    give_up = time.monotonic() + 30
    while not done.exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert done.read_text() == f"{path.absolute()}\n"


def test_open_hands_over_pictures_alone(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("dream.commands.show_image._open_on_desktop", opened.append)
    path = made(session, "a cat -S1")
    for name in ("x.desktop", "x.command", "x.exe", "x", "x.png.sh", "x.lnk"):
        (tmp_path / name).write_bytes(path.read_bytes())
        assert "its name is not that of an image" in refusal(session, f"!open {name}")
    (tmp_path / "script.png").write_text("#!/bin/sh\n")
    assert "is not an image" in refusal(session, "!open script.png")
    (tmp_path / "page.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    assert "is not an image" in refusal(session, "!open page.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refusal(session, "!open pipe.png")
    (tmp_path / "folder.png").mkdir()
    assert "is a folder" in refusal(session, "!open folder.png")
    assert opened == []
    events_of(session, "!open -1")
    assert opened == [path.absolute()]
