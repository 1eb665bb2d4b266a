from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo, iTXt

from dream.core.errors import GalleryError
from dream.core.plain_text import join_lines_of_text
from dream.core.request import to_dict
from dream.gallery import DreamRecord, Gallery, read_record
from tests.gallery.writer import noise

MANY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_png(folder: Path, line: str, **record: object) -> Path:
    gallery = Gallery(folder)
    with gallery.reserve_number() as claim:
        return gallery.save(noise(7, weights="0f"), line=line, claim=claim, record=record).path


@pytest.mark.parametrize(
    ("line", "chunk"),
    [
        ('"a red circle" -s20 -S7', str),
        ('"café ½" -s20', str),
        ('"猫 and 🐱 and \x00 and \x7f" -s20', iTXt),
        ('"\u202eright to left" -s1', iTXt),
    ],
)
def test_a_line_in_any_script_comes_back(tmp_path: Path, line: str, chunk: type[str]) -> None:
    path = write_png(tmp_path, line)
    assert read_record(path).line == line
    with Image.open(path) as image:
        assert type(image.info["Dream"]) is chunk
        assert image.info["Dream"] == line


@MANY
@given(st.text() | st.text(st.characters(categories=["Cs", "Cc"])))
def test_every_line_comes_back(tmp_path: Path, line: str) -> None:
    # Two surrogates in a row are one character, to JSON and to everybody.
    joined = line.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert read_record(write_png(tmp_path, line)).line == join_lines_of_text(joined)


def test_a_png_remembers_request_facts_and_pixels(tmp_path: Path) -> None:
    picture = noise(7, weights="0f")
    path = write_png(tmp_path, "x", sha256="a lie", mood="fine")
    request = to_dict(picture.recipe.to_request())
    assert read_record(path) == DreamRecord("x", request, {"weights": "0f"}, picture.sha256)
    with Image.open(path) as image:
        assert image.tobytes() == picture.image.tobytes()
        assert json.loads(str(image.info["dream_record"]))["mood"] == "fine"


def test_a_png_of_2022_tells_its_line(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Dream", '"a cute child" -s50 -b1 -W512 -H512 -C7.5 -mk_lms -S3498014304')
    info.add_text("dream", "[" * 100_000)
    Image.new("RGB", (8, 8)).save(tmp_path / "old.png", pnginfo=info)
    assert read_record(tmp_path / "old.png") == DreamRecord(str(info.chunks[0][1][6:], "latin-1"))


def test_what_tells_nothing_is_refused_in_one_line(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    (tmp_path / "page.png").write_text("<html>")
    (tmp_path / "cut.png").write_bytes((tmp_path / "plain.png").read_bytes()[:20])
    for name, document in {
        "plain.png": "has no record of how it was made",
        "page.png": "is not a complete image",
        "cut.png": "is not a complete image",
        "plane.png": r"there is no .* \(did you mean plain\.png",
        ".": "cannot read",
    }.items():
        with pytest.raises(GalleryError, match=document):
            read_record(tmp_path / name)


@MANY
@given(st.data())
def test_a_damaged_png_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    whole = write_png(tmp_path, '"猫" -s20').read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path / "damaged"
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=9)) + whole[at + 1 :])
    try:
        read_record(path)
    except GalleryError:
        return


def test_a_picture_too_large_to_open_unasked_still_tells(tmp_path: Path) -> None:
    """Ours may have 32768 pixels a side; what it tells takes no decoding."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 32768, 32768, 8, 2, 0, 0, 0))
    path = tmp_path / "huge.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"tEXt", b"Dream\0huge -U8") + chunk(b"IDAT", b"")
    )
    assert read_record(path).line == "huge -U8"
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
