"""What other programs read in our pictures, and what is left of a record that they have changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sd_parsers import ParserManager

from dream.core.errors import GalleryError
from dream.core.events import Saved
from dream.core.request import Request, to_dict
from dream.core.request_json import parse_request
from dream.gallery import read_record
from dream.gallery.png import RECORD, read_chunks
from dream.line import format_line, parse_line
from dream.session import Session
from dream.session.image_prompts import read_line_from, read_request_from
from tests.fakes import fake_session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return fake_session(tmp_path)


def made(session: Session, line: str) -> Saved:
    (event,) = [event for event in session.make(line) if isinstance(event, Saved)]
    return event


@pytest.mark.parametrize(
    ("line", "prompt", "avoided"),
    [
        ("a red circle -n1 -s20 -S42 -C7 -Ak_lms", "a red circle", ""),
        ("a hat [blurry] -S42 -s20 -C7 -Ak_lms --negative=dark", "a hat", "blurry dark"),
        ("一只猫 -S42 -s20 -C7 -Ak_lms -U2 --watermark x", "一只猫", ""),
    ],
)
def test_sd_parsers_reads_ours(session: Session, line: str, prompt: str, avoided: str) -> None:
    event = made(session, line)
    for path in (event.path, made(session, "!fix -1 -U2").path):
        found = ParserManager().parse(path)
        assert found is not None and [p.value for p in found.prompts] == [prompt]
        (sampler,) = found.samplers
        assert sampler.name == "LMS"
        asked = {"steps": 20, "seed": 42, "cfg_scale": 7.0}
        assert {key: float(sampler.parameters[key]) for key in asked} == asked
        words = {w for p in found.negative_prompts for w in p.value.replace(",", "").split()}
        assert words == {*avoided.split()}
        assert found.metadata["Size"] == "64x64"


def test_our_keywords_differ_where_case_is_ignored(session: Session) -> None:
    event = made(session, 'say "hi" -S7')
    keys = [key.casefold() for key in read_chunks(event.path)]
    assert len(set(keys)) == len(keys) == 3
    chunks = read_chunks(event.path)
    assert json.loads(chunks[RECORD])["line"] == event.line
    assert parse_line(chunks["Dream"]) == event.request


def with_chunks(path: Path, **chunks: str) -> Path:
    info = PngInfo()
    for key, text in chunks.items():
        info.add_text(key, text)
    Image.new("RGB", (64, 64)).save(path, pnginfo=info)
    return path


def test_the_record_s_old_name_is_read_for_ever(tmp_path: Path) -> None:
    line, sha256 = '"a hat" -s20 -S7', "ab" * 32
    document = {"request": to_dict(parse_line(line)), "facts": {"weights": "0f"}, "sha256": sha256}
    old = read_record(with_chunks(tmp_path / "1.png", Dream=line, dream=json.dumps(document)))
    assert (old.line, old.sha256, old.facts, old.origin) == (line, sha256, {"weights": "0f"}, "")
    document["line"] = '!fix "a.png" -U2'
    old = read_record(with_chunks(tmp_path / "2.png", Dream=line, dream=json.dumps(document)))
    assert (old.line, old.origin) == (document["line"], line)


@pytest.mark.parametrize("key", ["Dream", "dream", "DREAM"])
def test_a_tool_may_have_changed_the_keyword_s_case(tmp_path: Path, key: str) -> None:
    path = with_chunks(tmp_path / "a.png", **{key: '"a hat" -s20 -S7'})
    assert read_line_from(path) == '"a hat" -s20 -S7'


@pytest.mark.parametrize("key", [RECORD, "dream", "Dream_record"])
def test_a_lost_line_is_made_from_the_record(tmp_path: Path, key: str) -> None:
    request = parse_line(
        '"a hat" -s20 -S7 -U2 -c top 8 -V7:0.5,8:0.25 -tm "cat" 0.3 -embiggen 2 -D left'
    )
    assert parse_request(json.loads(json.dumps(to_dict(request)))) == request
    path = with_chunks(tmp_path / "a.png", **{key: json.dumps({"request": to_dict(request)})})
    assert read_line_from(path) == format_line(request)
    assert read_request_from(path) == (request, ())


@pytest.mark.parametrize(
    "value", ["many", [], [1], {"a": 1}, None, True, 1e400, -1, 10**30, ["x", "y"], "\ud800"]
)
def test_a_record_of_nonsense_is_left_open(value: object) -> None:
    document = {
        name: value for name in to_dict(parse_line("x -s5 -U2")) | {"with_variations": 1, "fix": 1}
    }
    assert isinstance(parse_request(document), Request)


def test_text_behind_the_pixels_is_read(session: Session, tmp_path: Path) -> None:
    event = made(session, "a hat -S7")
    before, after = b"", b""
    data = event.path.read_bytes()
    signature, at = data[:8], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in (b"tEXt", b"iTXt"):
            after += data[at:end]
        elif data[at + 4 : at + 8] != b"IEND":
            before += data[at:end]
        else:
            iend = data[at:end]
        at = end
    path = tmp_path / "moved.png"
    path.write_bytes(signature + before + after + iend)
    assert read_record(path) == read_record(event.path)
    assert read_line_from(path) == event.line


def test_a_picture_without_any_record_says_so(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="has no record of how it was made"):
        read_line_from(with_chunks(tmp_path / "a.png", Comment="x"))
