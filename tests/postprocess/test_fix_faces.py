"""!fix FILE -G, alone and with -U: saved, logged, replayed and verified, with random networks in
the true layouts and a detector that finds the faces that were drawn."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.core.errors import ModelError
from dream.core.events import Event, Failed, Note, Rejected, Saved, Verified
from dream.core.request import Request
from dream.gallery import LOG_NAME, read_record
from dream.line import parse_log_line
from dream.postprocess.face_alignment import Points
from dream.postprocess.face_detector import RetinaFaceDetector
from dream.session import Session
from dream.worker.inprocess import InProcessEngine
from tests.fakes import fake_registry
from tests.postprocess.conftest import compact, save
from tests.postprocess.test_faces import draw, make_detector, make_gfpgan

DRAWN, POINTS = draw((160, 128), 0.15, 0.2, (70, 60))


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> list[Points]:
    """The faces that are found."""
    found = [POINTS]
    monkeypatch.setattr(RetinaFaceDetector, "find_faces", lambda *_: list(found))
    return found


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One session with all networks on disk."""
    folder = tmp_path_factory.mktemp("workshop")
    make_gfpgan(folder / "models/faces/GFPGANv1.4.pth")
    make_detector(folder / "models/faces/detection_mobilenet0.25_Final.pth")
    save(compact(), folder / "models/upscalers/RealESRGAN_x4plus.pth")
    registry = fake_registry(folder / "models")
    base = Request(outdir=str(folder / "outputs"), upscaler="RealESRGAN_x4plus")
    return Session(InProcessEngine(registry), registry, base, rng=random.Random(0))


@pytest.fixture
def session(workshop: Session, faces: list[Points], tmp_path: Path) -> Session:
    return workshop


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(DRAWN).save(path)
    return path


def saved(events: Iterable[Event]) -> Saved:
    events = list(events)
    assert not [event for event in events if isinstance(event, Rejected | Failed)], events
    (event,) = [event for event in events if isinstance(event, Saved)]
    return event


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def log(session: Session) -> str:
    return (session.outdir / LOG_NAME).read_text().splitlines()[-1]


def verify(session: Session, line: str, folder: Path) -> list[Event]:
    (folder / "one.txt").write_text(line + "\n")
    return list(session.verify(folder / "one.txt"))


@pytest.mark.parametrize(
    ("switches", "stages", "size"),
    [
        ("-G", ["faces"], (160, 128)),
        ("-G .5", ["faces"], (160, 128)),
        ("-U2", ["upscale"], (320, 256)),
        ("-U2 -G", ["faces", "upscale"], (320, 256)),
        ("-G 0 -U2", ["upscale"], (320, 256)),
        ("--watermark dream -U2 -G", ["faces", "upscale", "watermark"], (320, 256)),
    ],
)
def test_each_combination_is_logged_replayed_and_verified(
    session: Session,
    photo: Path,
    tmp_path: Path,
    switches: str,
    stages: list[str],
    size: tuple[int, int],
) -> None:
    event = saved(session.make(f'!fix "{photo}" {switches}'))
    with Image.open(event.path) as image:
        assert image.size == size
    record = read_record(event.path)
    assert [step["stage"] for step in record.steps] == stages
    line = log(session)
    assert line.partition(": ")[2].startswith(f'!fix "{photo}"') and " fix:" in line
    assert ("face_weights:" in line) == ("faces" in stages)
    again = list(session.make(line))
    assert saved(again).sha256 == event.sha256
    assert not [note.text for note in again if isinstance(note, Note)]
    assert parse_log_line(line).line == saved(again).line
    (verified,) = [e for e in verify(session, line, tmp_path) if isinstance(e, Verified)]
    assert verified.same


def test_faces_come_first_and_one_by_one_is_the_same(session: Session, photo: Path) -> None:
    at_once = saved(session.make(f'!fix "{photo}" -U2 -G'))
    face = saved(session.make(f'!fix "{photo}" -G'))
    change = np.abs(pixels(face.path) - DRAWN).max(2)
    assert change[60, 70] > 0 and change[:10].max() == 0 and change[-10:].max() == 0
    assert saved(session.make("!fix -1 -U2")).sha256 == at_once.sha256
    assert face.path.name.startswith("photo.faces.")


def test_without_a_face_the_pixels_are_the_same_and_it_is_said(
    session: Session, photo: Path, faces: list[Points]
) -> None:
    faces.clear()
    events = list(session.make(f'!fix "{photo}" -G'))
    assert np.array_equal(pixels(saved(events).path), DRAWN)
    said = [event.text for event in events if isinstance(event, Note)]
    assert said == ["no face was found; the image is unchanged"]
    alone, both = (saved(session.make(f'!fix "{photo}" {line}')) for line in ("-U2", "-U2 -G"))
    assert alone.sha256 == both.sha256


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("!fix {photo} -G1 -ft gfpgan", "-G1"),
        ("!fix {photo} -s 50 -S  -W 512 -G 0.8", "-G"),  # InvokeAI 2's
        ("!fix {photo} --gfpgan_strength=.3", "-G.3"),
    ],
)
def test_lines_of_other_programs_mean_the_same(
    session: Session, photo: Path, line: str, means: str
) -> None:
    old = saved(session.make(line.format(photo=f'"{photo}"')))
    assert old.sha256 == saved(session.make(f'!fix "{photo}" {means}')).sha256


def test_a_failure_says_why_and_writes_nothing(
    session: Session, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **values: object) -> None:
        raise ModelError("not on this machine", "download it")

    monkeypatch.setattr("dream.postprocess.faces.find_face_model", refuse)
    files = sorted(session.outdir.iterdir())
    events = list(session.make(f'!fix "{photo}" -G'))
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert "not on this machine" in str(failed.error)
    assert sorted(session.outdir.iterdir()) == files
