"""!find and !stats, and the index behind them, which is a cache and never the truth."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, TextOutput, run_line
from dream.core.events import Event, Note, Rejected
from dream.line import parse_log_line
from dream.line.log_lines import LogLine
from dream.session import Session
from dream.session.picture_index import PictureIndex
from tests.fakes import FakeEngine, fake_session
from tests.foreign_samples import FOLDER


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_session(tmp_path)


def happened(session: Session, line: str) -> list[Event]:
    return list(run_line(Context(session, list, COMMANDS), line))


def rows(session: Session, line: str) -> dict[str, str]:
    (page,) = happened(session, line)
    assert isinstance(page, TextOutput), page
    return {row[0].strip(): row[1] for row in page.lines if isinstance(row, tuple)}


def names(session: Session, line: str) -> list[str]:
    return [Path(path.partition(" (")[0]).name for path in rows(session, line)]


def test_find_looks_into_lines_and_names(session: Session) -> None:
    happened(session, "a red cat [dog] -S1")
    happened(session, "a blue cat -S2 --metadata none --format jpeg")
    happened(session, "一只猫 -S3")
    assert names(session, "!find CAT") == ["000002.2.jpg", "000001.1.png"]
    assert names(session, "!find cat red") == ["000001.1.png"]
    assert names(session, "!find dog") == ["000001.1.png"]
    assert names(session, "!find 猫") == names(session, "!find 000003") == ["000003.3.png"]
    assert names(session, "!find cat --model tin") == ["000002.2.jpg", "000001.1.png"]
    for line in ("!find cow", "!find cat --model other", "!find % _"):
        (note,) = happened(session, line)
        assert isinstance(note, Note) and "no image in" in note.text


def test_find_knows_other_programs_images(session: Session) -> None:
    happened(session, "a cat -S1")
    for name in ("forge.png", "comfyui.webp", "mold.jpg"):
        (session.outdir / name).write_bytes((FOLDER / name).read_bytes())
    assert set(names(session, "!find circle")) == {"forge.png", "comfyui.webp", "mold.jpg"}
    assert names(session, "!find --model astolfo") == ["forge.png"]
    assert "(by mold)" in next(iter(rows(session, "!find mold")))


def test_find_takes_dates(session: Session) -> None:
    happened(session, "a cat -S1 -n2")
    first, second = sorted(session.outdir.glob("*.png"))
    os.utime(first, (1_000_000_000, 1_000_000_000))
    assert names(session, "!find cat --after 2020-01-01") == [second.name]
    assert names(session, "!find cat --before=2020-01-01") == [first.name]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("!find", "needs words"),
        ("!find cat --after yesterday", "takes a date such as"),
        ("!find cat --after", "takes a date such as"),
        ("!find --colour red", "has no option --colour"),
    ],
)
def test_find_refuses_what_it_does_not_know(session: Session, line: str, error: str) -> None:
    happened(session, "a cat -S1")
    (event,) = happened(session, line)
    assert isinstance(event, Rejected) and error in str(event.error)


def test_the_index_follows_the_folder(session: Session) -> None:
    happened(session, "a cat -S1 -n3")
    assert len(names(session, "!find cat")) == 3
    gone, changed, kept = sorted(session.outdir.glob("*.png"))
    gone.unlink()
    log = session.outdir / "dream_log.txt"
    log.write_text(
        "".join(
            line.replace("a cat", "a cow") if changed.name in line else line
            for line in log.read_text().splitlines(keepends=True)
            if gone.name not in line
        )
    )
    assert names(session, "!find cat") == [kept.name]
    assert names(session, "!find cow") == [changed.name]
    log.unlink()
    assert len(names(session, "!find cat")) == 2, "from the images themselves"


def test_a_deleted_image_is_named_from_the_log(session: Session) -> None:
    happened(session, "a cat -S1")
    (path,) = session.outdir.glob("*.png")
    path.unlink()
    assert next(iter(rows(session, "!find cat"))).endswith("(deleted)")


@pytest.mark.parametrize("damage", ["garbage", "folder", "other"])
def test_a_damaged_index_is_made_anew(session: Session, tmp_path: Path, damage: str) -> None:
    happened(session, "a cat -S1")
    assert len(names(session, "!find cat")) == 1
    (index,) = (tmp_path / "cache").rglob("*.sqlite3")
    index.unlink()
    if damage == "folder":
        index.mkdir()
    else:
        index.write_bytes(b"not a database" * 100 if damage == "garbage" else b"")
    assert len(names(session, "!find cat")) == 1


def test_only_what_is_new_is_read(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("forge.png", "mold.jpg"):
        session.outdir.mkdir(exist_ok=True)
        (session.outdir / name).write_bytes((FOLDER / name).read_bytes())
    read: list[str] = []
    describe = PictureIndex._describe

    def watched(self: PictureIndex, name: str) -> tuple[str, str, str, str]:
        read.append(name)
        return describe(self, name)

    monkeypatch.setattr(PictureIndex, "_describe", watched)
    happened(session, "!find circle")
    assert sorted(read) == ["forge.png", "mold.jpg"]
    happened(session, "!find circle")
    assert len(read) == 2


def test_a_log_that_grew_is_read_from_where_it_ended(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def watched(line: str) -> LogLine:
        read.append(line)
        return parse_log_line(line)

    monkeypatch.setattr("dream.session.picture_index.parse_log_line", watched)
    happened(session, "a cat -S1 -n3")
    assert len(names(session, "!find cat")) == len(read) == 3
    happened(session, "a cat -S9")
    assert len(names(session, "!find cat")) == len(read) == 4
    assert len(names(session, "!find cat")) == len(read) == 4
    log = session.outdir / "dream_log.txt"
    log.write_text(log.read_text().replace("a cat", "a cow", 1))
    assert len(names(session, "!find cat")) == 3, "a change before that place is seen"
    assert len(names(session, "!find cow")) == 1
    with log.open("a", encoding="utf-8") as file:
        file.write('000009.9.png: "a cow at da')
    assert len(names(session, "!find cow")) == 2
    with log.open("a", encoding="utf-8") as file:
        file.write('wn" -S9\n')
    assert names(session, "!find dawn") == ["000009.9.png"], "a torn line is read again"


def test_deleted_and_replaced_files_are_noticed(session: Session) -> None:
    happened(session, "a cat -S1")
    (path,) = session.outdir.glob("*.png")
    other = session.outdir / "mold.jpg"
    other.write_bytes((FOLDER / "mold.jpg").read_bytes())
    assert names(session, "!find mold") == ["mold.jpg"]
    aside = path.rename(path.with_suffix(".bak"))
    assert "(deleted)" in next(iter(rows(session, "!find cat")))
    aside.rename(path)
    assert "(deleted)" not in next(iter(rows(session, "!find cat")))
    (session.outdir / "x").write_bytes((FOLDER / "easydiffusion.jpg").read_bytes())
    (session.outdir / "x").replace(other)
    (found,) = rows(session, "!find circle")
    assert "mold.jpg (by Easy Diffusion)" in found


def test_many_found_images_are_counted(session: Session) -> None:
    session.outdir.mkdir(exist_ok=True)
    lines = [f'{number:06}.1.png: "a cat" -S{number}\n' for number in range(53)]
    (session.outdir / "dream_log.txt").write_text("".join(lines))
    (page,) = happened(session, "!find cat")
    assert isinstance(page, TextOutput) and len(page.lines) == 51
    assert "… and 3 more images" in page.lines[-1]
    assert rows(session, "!stats")["images"] == "53, 53 of them deleted"


def test_stats_count(session: Session) -> None:
    assert isinstance(session.engine, FakeEngine)
    session.engine.pause = 0.002
    happened(session, "a cat -S1 -n3")
    (session.outdir / "forge.png").write_bytes((FOLDER / "forge.png").read_bytes())
    next(session.outdir.glob("*.1.png")).unlink()
    found = rows(session, "!stats")
    assert found["images"] == "4, 1 of them deleted"
    assert found["by Forge"] == "1"
    assert found["tiny"].startswith("3, ") and found["tiny"].endswith(" s per image")
    assert rows(session, f"!stats {session.outdir}") == found
    (note,) = happened(session, f"!stats {session.outdir.parent / 'models'}")
    assert isinstance(note, Note)
