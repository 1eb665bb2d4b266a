from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dream.core.errors import GalleryError
from dream.gallery import Gallery, read_record, signature
from dream.gallery import durable_files as disk
from dream.gallery.folder import list_names
from dream.gallery.image_writer import Encoding
from dream.options.image_output import FORMATS
from tests.gallery.writer import noise, write


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "outputs" / "img-samples")


def keep(gallery: Gallery, seed: int, name: str | None = None) -> str:
    with gallery.reserve_number() as claim:
        return gallery.save(noise(seed), line="a -s1", claim=claim, name=name).path.name


def lines(gallery: Gallery) -> list[str]:
    return gallery.log_path.read_text().splitlines()


# ── numbers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("present", "number"),
    [
        ([], "000001"),
        (["000041.7.png"], "000042"),
        (["000009.7.png", "000010.7.png"], "000011"),
        (["00009.png"], "000010"),
        (["000041.png", "000040.7.grid.png", "000050.txt"], "000051"),
        (["999999.7.png"], "1000000"),
        (["999999.7.png", "1000000.7.png"], "1000001"),
        (["1234567.png", "4294967295.png"], "000001"),  # made by --fnformat {seed}.png
        (["000041.7.png", "99999999999999.png"], "000042"),
        (["000041.7.png", "99999999999999.7.png"], "000042"),
        (["999999999.7.png", "1000000000.7.png"], "1000000001"),
        (["holiday.png", "x000050.7.png", "٠٠٠٠٥٠.7.png", "000007"], "000001"),
    ],
)
def test_a_command_is_one_above_the_highest(
    gallery: Gallery, present: list[str], number: str
) -> None:
    gallery.outdir.mkdir(parents=True)
    for name in present:
        (gallery.outdir / name).touch()
    with gallery.reserve_number() as claim:
        assert claim.prefix == number
        assert claim.number == int(number)
    with gallery.reserve_number() as claim:
        assert claim.prefix == number, "nothing was made with it"


def test_numbers_go_on_from_what_others_made(gallery: Gallery) -> None:
    assert keep(gallery, 7) == "000001.7.png"
    assert keep(Gallery(gallery.outdir), 8) == "000002.8.png"
    assert keep(gallery, 9) == "000003.9.png"


def test_no_number_is_claimed_twice_at_a_time(gallery: Gallery) -> None:
    with ExitStack() as stack:
        galleries = [Gallery(gallery.outdir) for _ in range(5)]
        numbers = [stack.enter_context(each.reserve_number()).number for each in galleries]
        assert numbers == [1, 2, 3, 4, 5]
        assert len(list(gallery.outdir.glob(".*.claim"))) == 5
        gallery.recover()
        assert len(list(gallery.outdir.glob(".*.claim"))) == 5, "held by the living"
    assert list_names(gallery.outdir) == []


def test_threads_share_a_folder(gallery: Gallery) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: write(gallery.outdir, 3, 2, seed), range(0, 4000, 1000)))
    names = [path.name for path in gallery.outdir.glob("*.*.png")]
    assert len(names) == len(set(names)) == 36
    # A number can be left out: a command that is slow to look, and finds a higher one, goes on.
    assert len({name.partition(".")[0] for name in names}) == 12, "one for each command"
    assert len(lines(gallery)) == 36


# ── pictures ───────────────────────────────────────────────────────────────────────────────────


def test_a_picture_and_its_line(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gallery.outdir.parents[1])
    gallery = Gallery(Path("outputs/img-samples"))
    picture = noise(7, weights="fedcba9876543210")
    with gallery.reserve_number() as claim:
        entry = gallery.save(
            picture, line='"a red circle" -s1 -S7', claim=claim, encoding=Encoding(compression=9)
        )
    assert entry.path == Path("outputs/img-samples/000001.7.png")
    assert entry.line == '"a red circle" -s1 -S7'
    assert entry.sha256 == picture.sha256
    assert entry.log_line == (
        'outputs/img-samples/000001.7.png: "a red circle" -s1 -S7'
        f" # sha256:{picture.sha256[:16]} weights:fedcba98"
    )
    assert gallery.log_path.read_bytes() == entry.log_line.encode() + b"\n"
    with Image.open(entry.path) as image:
        assert image.tobytes() == picture.image.tobytes()
    assert sorted(list_names(gallery.outdir)) == ["000001.7.png", "dream_log.txt"]


@pytest.mark.parametrize("links", [True, False])
def test_nothing_is_overwritten(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    with gallery.reserve_number() as claim:
        kept = [gallery.save(noise(7), line=str(n), claim=claim) for n in range(3)]
    assert [entry.path.name for entry in kept] == [
        "000001.7.png",
        "000001.7.01.png",
        "000001.7.02.png",
    ]
    assert [read_record(entry.path).line for entry in kept] == ["0", "1", "2"]
    assert keep(gallery, 8, "000001.7.png") == "000001.7.03.png"
    assert keep(gallery, 8, "same.upscaled.png") == "same.upscaled.png"
    assert keep(gallery, 8, "same.upscaled.png") == "same.upscaled.01.png"
    assert len(lines(gallery)) == 6
    assert len(list_names(gallery.outdir)) == 7


def test_a_name_never_leaves_the_folder(gallery: Gallery, tmp_path: Path) -> None:
    assert keep(gallery, 7, "../../escaped") == "__.._escaped.png"
    assert keep(gallery, 7, "/") == "000002.7.png"
    assert keep(gallery, 7, "x" * 400).endswith("x.png")
    assert keep(gallery, 7, "x" * 400).endswith("x.01.png")
    assert list_names(tmp_path) == ["outputs"]


def test_a_line_break_cannot_tear_the_log(gallery: Gallery) -> None:
    with gallery.reserve_number() as claim:
        entry = gallery.save(noise(7), line='"a\nb" -s1', claim=claim)
    assert entry.line == '"a b" -s1'
    assert lines(gallery) == [entry.log_line]


def test_a_grid_is_a_comment(gallery: Gallery) -> None:
    sheet = Image.new("RGB", (64, 32))
    with gallery.reserve_number() as claim:
        entry = gallery.save_grid(sheet, claim=claim, line='"a" -n2 -S7 -g')
    assert entry.path.name == "000001.grid.png"
    assert lines(gallery) == [f'# {entry.path}: "a" -n2 -S7 -g']
    with pytest.raises(GalleryError, match="has no record of how"):
        read_record(entry.path)
    with gallery.reserve_number() as claim:
        assert claim.number == 2


# ── where it cannot be written ─────────────────────────────────────────────────────────────────


def test_a_file_in_the_folders_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for outdir in (tmp_path / "file", tmp_path / "file" / "deeper"):
        reason = "there is a file with the folder's name .choose another folder"
        document = f"cannot write to {outdir}: {reason}"
        with pytest.raises(GalleryError, match=document), Gallery(outdir).reserve_number():
            pass


def test_an_error_of_the_work_itself_passes_through(gallery: Gallery) -> None:
    with pytest.raises(FileNotFoundError), gallery.reserve_number():
        raise FileNotFoundError("the model's")
    assert list_names(gallery.outdir) == []


def test_a_picture_without_a_line_is_kept_and_gets_it_later(gallery: Gallery) -> None:
    gallery.log_path.mkdir(parents=True)
    with gallery.reserve_number() as claim:
        with pytest.raises(
            GalleryError, match=r"000001\.7\.png is saved, but .*before the next image"
        ):
            gallery.save(noise(7), line="a -s1", claim=claim)
        with pytest.raises(GalleryError, match=r"000001\.7\.01\.png is saved"):
            gallery.save(noise(7), line="b -s1", claim=claim)
    gallery.log_path.rmdir()
    recovered = gallery.recover()
    assert len(recovered) == 2
    assert lines(gallery) == list(recovered)


# ── after a crash ──────────────────────────────────────────────────────────────────────────────


def test_there_is_nothing_to_mend_where_there_is_nothing(gallery: Gallery) -> None:
    assert gallery.recover() == ()
    assert not gallery.outdir.exists()


def test_a_lost_log_comes_back_as_it_was(gallery: Gallery) -> None:
    write(gallery.outdir, 3, 3, 0)
    before = lines(gallery)
    assert gallery.recover() == ()
    gallery.log_path.unlink()
    assert gallery.recover() == tuple(before)
    assert lines(gallery) == before


@pytest.mark.parametrize("partial", [1, 2, 20, 40, 44])
@pytest.mark.parametrize("moved", [False, True])
def test_a_torn_line_is_finished(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, partial: int, moved: bool
) -> None:
    keep(gallery, 7)
    keep(gallery, 8)
    whole = gallery.log_path.read_bytes()
    gallery.log_path.write_bytes(whole[:-partial])
    if moved:
        monkeypatch.chdir(gallery.outdir)
        gallery = Gallery(Path())
    gallery.recover()
    assert gallery.log_path.read_bytes() == whole


def test_others_pictures_are_left_alone_and_opened_when_they_changed(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(gallery, 7)
    holiday = gallery.outdir / "holiday.png"
    Image.new("RGB", (8, 8)).save(holiday)
    (gallery.outdir / "page.png").write_text("<html>")
    (gallery.outdir / "download.png").touch()  # a browser's, which fills it in a moment
    (gallery.outdir / "linked.png").symlink_to(holiday)
    os.mkfifo(gallery.outdir / "pipe.png")
    before = list_names(gallery.outdir)
    assert gallery.recover() == ()
    assert sorted([*before, ".dream_foreign"]) == sorted(list_names(gallery.outdir))
    opened: list[str] = []

    def read(path: Path) -> dict[str, str]:
        opened.append(path.name)
        return {}

    monkeypatch.setattr("dream.gallery.recovery.read_chunks", read)
    assert gallery.recover() == ()
    assert opened == []
    (gallery.outdir / "download.png").write_text("half of it")
    assert gallery.recover() == ()
    assert opened == ["download.png"]
    assert len(lines(gallery)) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_was_half_copied_gets_its_line_when_it_is_whole(
    gallery: Gallery, tmp_path: Path, kind: str
) -> None:
    with gallery.reserve_number() as claim:
        saved = gallery.save(noise(7), line="a -S7", claim=claim, encoding=Encoding(kind))
    whole = saved.path.read_bytes()
    other = Gallery(tmp_path / "other")
    other.outdir.mkdir()
    copy = other.outdir / f"copy{saved.path.suffix}"
    for length in (*range(0, len(whole), len(whole) // 20), len(whole) - 1):
        copy.write_bytes(whole[:length])
        assert other.recover() == (), length
    copy.write_bytes(whole)
    (line,) = other.recover()
    assert line.startswith(f"{copy.as_posix()}: ")


def test_a_stranger_s_picture_gets_no_line_whatever_it_holds(gallery: Gallery) -> None:
    keep(gallery, 7)
    with Image.open(gallery.outdir / "000001.7.png") as image:
        document = json.loads(image.info["dream_record"])
    for name, change in (
        ("line", {"line": 'a cat; touch "$HOME/pwned" #'}),
        ("hash", {"sha256": "0" * 64}),
        ("facts", {"facts": {"weights": "ab"}}),
        ("unsigned", {"signature": ""}),
        ("odd", {"signature": ["é", 5]}),
        ("grid", {"grid": "touch pwned"}),
        ("whole", {}),
    ):
        chunks = PngInfo()
        chunks.add_text("Dream", "a -s1")
        chunks.add_text("dream_record", json.dumps({**document, **change}))
        Image.new("RGB", (8, 8)).save(gallery.outdir / f"{name}.png", pnginfo=chunks)
    (line,) = gallery.recover()
    assert line.startswith(f"{gallery.outdir.as_posix()}/whole.png: "), "only our own words"


def test_a_picture_of_dream_s_without_its_signature_is_counted_once(gallery: Gallery) -> None:
    keep(gallery, 7)
    with Image.open(gallery.outdir / "000001.7.png") as image:
        document = json.loads(image.info["dream_record"])
    for name, keyword in (("former.png", "dream"), ("elsewhere.png", "dream_record")):
        chunks = PngInfo()
        chunks.add_text("Dream", "a -s1")
        chunks.add_text(keyword, json.dumps({**document, "signature": ""}))
        Image.new("RGB", (8, 8)).save(gallery.outdir / name, pnginfo=chunks)
    Image.new("RGB", (8, 8)).save(gallery.outdir / "holiday.png")
    assert gallery.recover() == ()
    assert gallery.unsigned == 2
    assert gallery.recover() == ()
    assert gallery.unsigned == 0


@pytest.mark.parametrize("at", ["state", "state/dream", "state/dream/key"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "dangling link", "file", "closed"])
@pytest.mark.parametrize("links", [True, False])
def test_without_a_key_that_can_be_kept_pictures_are_made_and_nothing_is_replaced(
    gallery: Gallery,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    kind: str,
    links: bool,
) -> None:
    place, victim = tmp_path / at, tmp_path / "victim"
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind in ("folder", "closed"):
        place.mkdir(mode=0o500 if kind == "closed" else 0o700)
    elif kind == "file":
        place.write_text("another one's")
    else:
        place.symlink_to(victim)
        if kind == "link":
            victim.write_text("a key of somebody else's, 32 by.")
    before = place.lstat().st_ino
    if not links:

        def link(source: Path, target: Path) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(
        "dream.gallery.signature.user_state_path", lambda *a, **k: tmp_path / "state" / "dream"
    )
    signature._key_in.cache_clear()
    keep(gallery, 7)
    assert gallery.recover() == ()
    gallery.log_path.unlink()
    assert len(gallery.recover()) == 1, "in the same session its signature holds"
    assert place.lstat().st_ino == before
    assert kind != "link" or victim.read_text() == "a key of somebody else's, 32 by."
    if at == "state/dream/key" or kind in ("pipe", "file"):
        signature._key_in.cache_clear()  # as another session would
        gallery.log_path.unlink()
        (gallery.outdir / ".dream_foreign").unlink(missing_ok=True)
        assert (gallery.recover(), gallery.unsigned) == ((), 1)
    signature._key_in.cache_clear()


def test_a_name_held_in_vain_goes_and_one_that_is_held_stays(gallery: Gallery) -> None:
    keep(gallery, 7)
    left, held = gallery.outdir / "left.png", gallery.outdir / "held.png"
    for path in (left, held):
        path.write_bytes(disk._NAME_HELD)
    with held.open() as file:
        assert disk.lock(file.fileno())
        gallery.recover()
        assert held.exists() and not left.exists()


@pytest.mark.parametrize(
    "name", ["dream_log.txt", ".dream_foreign", ".000002.claim", ".dream-0123456789abcdef.tmp"]
)
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_stands_at_a_name_of_ours_is_neither_followed_nor_removed(
    gallery: Gallery, tmp_path: Path, name: str, kind: str
) -> None:
    gallery.outdir.mkdir(parents=True)
    (gallery.outdir / "page.png").write_text("<html>")
    victim, place = tmp_path / "victim", gallery.outdir / name
    if kind == "link":
        victim.write_text("4711 elsewhere\n")
    if "link" in kind:
        place.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    before = place.lstat().st_ino, victim.read_bytes() if kind == "link" else None
    if name == "dream_log.txt":
        with pytest.raises(GalleryError, match="dream_log"):
            gallery.recover()
    else:
        gallery.recover()
        keep(gallery, 7)
    assert before == (place.lstat().st_ino, victim.read_bytes() if kind == "link" else None)
    assert victim.exists() == (kind == "link")


def test_what_the_dead_left_is_swept(gallery: Gallery) -> None:
    keep(gallery, 7)
    for name in (".dream-0123456789abcdef.tmp", ".000002.claim", ".1000000.claim"):
        (gallery.outdir / name).write_text("4711 elsewhere\n")
    (gallery.outdir / ".profile").touch()
    (gallery.outdir / ".000003.claim").write_text("#!/bin/sh\nsomebody else's\n")
    gallery.recover()
    assert sorted(list_names(gallery.outdir)) == [
        ".000003.claim",
        ".profile",
        "000001.7.png",
        "dream_log.txt",
    ]


def no_link(source: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")
