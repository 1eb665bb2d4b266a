"""The files of a log that is replayed from another folder: found by hash, or said to be missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from dream.core.events import Event, Note, Rejected, Saved
from dream.gallery import LOG_NAME
from dream.session.logged_files import made_in
from tests.fakes import fake_session


def photo(path: Path, colour: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), colour).save(path)
    return path


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log that was made in `old` from `in/photo.png`; the current folder is `new`, where a file
    of that name is another picture."""
    photo(tmp_path / "old" / "in" / "photo.png", "teal")
    monkeypatch.chdir(tmp_path / "old")
    made = [*fake_session(Path()).make("x -I in/photo.png -S1")]
    assert isinstance(made[-1], Saved)
    photo(tmp_path / "new" / "in" / "photo.png", "red")
    monkeypatch.chdir(tmp_path / "new")
    return tmp_path / "old" / "outputs" / LOG_NAME


def replayed(log: Path) -> tuple[str, list[Event]]:
    """The file that the one line of a log began from, and all that was said."""
    events = [*fake_session(Path.cwd()).replay(log)]
    return next((str(e.request.init_img) for e in events if isinstance(e, Saved)), ""), events


def notes(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def test_where_it_was_made_goes_before_a_file_of_that_name_here(log: Path, tmp_path: Path) -> None:
    path, events = replayed(log)
    assert path == str(tmp_path / "old" / "in" / "photo.png")
    assert "changed" not in notes(events)


@pytest.mark.parametrize("place", ["photo.png", "in/photo.png", "inputs/photo.png"])
def test_beside_the_log_is_looked_too(log: Path, tmp_path: Path, place: str) -> None:
    beside = log.parent / place
    beside.parent.mkdir(exist_ok=True)
    shutil.move(tmp_path / "old" / "in" / "photo.png", beside)
    path, events = replayed(log)
    assert path == str(beside) and "changed" not in notes(events)


def test_the_same_file_here_will_do(log: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "old" / "in" / "photo.png", tmp_path / "new" / "in" / "photo.png")
    path, events = replayed(log)
    assert Path(path).absolute() == tmp_path / "new" / "in" / "photo.png"
    assert "changed" not in notes(events)


def test_a_changed_file_is_said_to_have_changed(log: Path, tmp_path: Path) -> None:
    photo(tmp_path / "old" / "in" / "photo.png", "blue")
    path, events = replayed(log)
    assert path == str(tmp_path / "old" / "in" / "photo.png")
    assert "photo.png has changed" in notes(events)


def test_a_missing_file_is_not_taken_for_another_of_its_name(log: Path, tmp_path: Path) -> None:
    missing = tmp_path / "old" / "in" / "photo.png"
    missing.unlink()
    path, (event,) = replayed(log)
    assert not path and isinstance(event, Rejected)
    assert f"{missing} is missing" in str(event.error) and "a different file" in str(event.error)
    (tmp_path / "new" / "in" / "photo.png").unlink()
    path, (event,) = replayed(log)
    assert not path and isinstance(event, Rejected)
    assert f"there is no {missing}" in str(event.error)


def test_a_line_without_a_hash_means_the_file_where_it_was_made(log: Path, tmp_path: Path) -> None:
    log.write_text(log.read_text().partition(" # ")[0] + "\n")
    path, _ = replayed(log)
    assert path == str(tmp_path / "old" / "in" / "photo.png")


@pytest.mark.parametrize(
    ("folder", "picture", "place"),
    [
        ("/a/b/out", "out/1.png", "/a/b"),
        ("/a/out/img-samples", "out/img-samples/1.png", "/a"),
        ("/a/out/img-samples", "out\\img-samples\\1.png", "/a"),
        ("/a/out", "out/a cat/1.png", "/a"),
        ("/a/out", "/a/out/1.png", None),
        ("/a/out", "1.png", None),
        ("/a/moved", "out/1.png", None),
        ("/a/out", "../out/1.png", None),
    ],
)
def test_the_folder_that_a_line_was_made_in(folder: str, picture: str, place: str | None) -> None:
    assert made_in(Path(folder), picture) == (place and Path(place))


@pytest.mark.parametrize(
    ("spelling", "place"),
    [
        (r"in\\photo.png", "photo.png"),
        (r"in\\photo.png", "in/photo.png"),
        (r"in\\photo.png", "inputs/photo.png"),
        (r"in\\photo.png", "../in/photo.png"),
        (r"C:\\pictures\\in\\photo.png", "photo.png"),
        (r"C:\\pictures\\in\\photo.png", "inputs/photo.png"),
    ],
)
def test_paths_as_windows_writes_them(log: Path, tmp_path: Path, spelling: str, place: str) -> None:
    line = log.read_text(encoding="utf-8").replace("in/photo.png", f'"{spelling}"')
    log.write_text(line, encoding="utf-8")
    beside = log.parent / place
    beside.parent.mkdir(exist_ok=True)
    if not beside.exists():
        shutil.move(tmp_path / "old" / "in" / "photo.png", beside)
    path, events = replayed(log)
    assert Path(path).resolve() == beside.resolve() and "changed" not in notes(events)
