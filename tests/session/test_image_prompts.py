"""What a stranger's picture says is one line, never a command, and never too long."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dream.commands import COMMANDS, Context, InsertText, is_command, run_line
from dream.core.errors import GalleryError
from dream.core.events import Event, Note, Rejected, Saved
from dream.core.plain_text import join_lines_of_text
from dream.core.png_chunks import LONGEST_TEXT
from dream.gallery import LOG_NAME, read_record
from dream.gallery.png import read_chunks
from dream.inputs import measure_image, open_picture
from dream.session import Session
from dream.session.image_prompts import LONGEST, read_line_from
from tests.fakes import fake_session

BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
COMMAND = "!del_model tiny --files"


BEFORE = ["", " ", "\n", "\0", "\ufeff", "dream> ", "[1] ", "(a) invoke> ", "dream> dream> "]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path)


def picture(path: Path, line: str, **more: str) -> Path:
    info = PngInfo()
    for key, text in {"Dream": line, **more}.items():
        info.add_itxt(key, text)
    Image.new("RGB", (64, 64), "teal").save(path, pnginfo=info)
    return path


def text_of(events: list[Event]) -> str:
    return "\n".join(e.text for e in events if isinstance(e, Note))


def edited(session: Session, line: str) -> str:
    events = list(run_line(Context(session, tuple, COMMANDS), line))
    (edit,) = [event for event in events if isinstance(event, InsertText)]
    return edit.text


@pytest.mark.parametrize("broken", BREAKS, ids=ascii)
def test_a_picture_gives_one_line(session: Session, tmp_path: Path, broken: str) -> None:
    picture(tmp_path / "x.png", f'"a" -s2{broken}{COMMAND}')
    line = edited(session, "!fetch x.png")
    assert line == f'"a" -s2 {COMMAND}' and len(line.splitlines()) == 1
    list(run_line(Context(session, tuple, COMMANDS), "!fetch x*.png out.txt"))
    text = (tmp_path / "out.txt").read_bytes().decode()
    assert text == f'x.png: "a" -s2 {COMMAND}\n'


@pytest.mark.parametrize(
    "line",
    [*(f"{before}{COMMAND}" for before in BEFORE), "q", " quit\n", "exit", "help", "-h", "?"],
)
def test_a_picture_gives_no_command(session: Session, tmp_path: Path, line: str) -> None:
    picture(tmp_path / "x.png", line)
    typed = edited(session, "!fetch x.png")
    assert not is_command(typed) and typed.strip() not in ("q", "quit", "exit", "help", "-h", "?")
    events = list(run_line(Context(session, tuple, COMMANDS), typed))
    assert any(isinstance(event, Saved) for event in events), "it is a prompt"
    (tmp_path / "outputs" / LOG_NAME).write_text(f"a.png: {line.strip()}\n", encoding="utf-8")
    session.last = None
    assert not is_command(edited(session, "!last"))


def test_words_and_name_of_a_file_are_one_line_in_a_file(session: Session, tmp_path: Path) -> None:
    name = f"b\u2028{COMMAND}\nc: d.png"
    picture(tmp_path / name, '"a" -s2')
    list(run_line(Context(session, tuple, COMMANDS), "!fetch b* out.txt"))
    text = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1 and text.endswith('"a" -s2\n')


@pytest.mark.parametrize("where", ["sha256", "facts", "steps", "line", "origin"])
def test_a_foreign_record_adds_no_line_to_the_log(
    session: Session, tmp_path: Path, where: str
) -> None:

    evil = f"0\n{COMMAND}\u2028{COMMAND}"
    document = {"sha256": "0" * 64, "line": '"a" -s2', "facts": {"weights": "0"}, "steps": []}
    document |= {
        where: {"facts": {"weights": evil, "init_img": evil}, "steps": [evil]}.get(where, evil)
    }
    outdir = tmp_path / "outputs"
    outdir.mkdir()
    picture(outdir / "000001.7.png", '"a" -s2', dream_record=json.dumps(document))
    list(session.make("a cat -S7 -s2"))
    lines = (outdir / LOG_NAME).read_text(encoding="utf-8").splitlines()
    assert all(line.startswith(("outputs/", str(outdir))) for line in lines)


def test_what_is_taken_further_carries_no_foreign_text_on(session: Session, tmp_path: Path) -> None:
    evil = f'"a \x1b]0;x\x07" -s2 --frobnicate\n{COMMAND}'
    picture(tmp_path / "x.png", evil, dream_record='{"steps": [{"stage": "\x1b"}]}', Comment=evil)
    events = list(session.make("!fix x.png -U2"))
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert "“--frobnicate” is not a switch" in text_of(events)
    everything = "".join(read_chunks(saved.path).values())
    assert COMMAND not in everything and "frobnicate" not in everything and "\x1b" not in everything
    record = read_record(saved.path)
    assert [step["stage"] for step in record.steps] == ["upscale"]
    assert read_chunks(saved.path)["Dream"].startswith('"a')


@pytest.mark.parametrize("switch", ["-I", "!fix"])
def test_one_unknown_switch_does_not_cost_the_words(
    session: Session, tmp_path: Path, switch: str
) -> None:
    picture(tmp_path / "x.png", '"a red hat" -s 5 --what 3 -G 0.8 -S 9 -W 64 # model_id=x')
    line = "-I x.png -S1" if switch == "-I" else "!fix x.png -U2"
    events = list(session.make(line))
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert saved.request.prompt == "a red hat"
    assert "x.png: “--what” is not a switch" in text_of(events)
    if switch == "!fix":
        assert (saved.request.steps, saved.request.seed) == (5, 9)


def test_a_prompt_from_a_picture_has_a_limit(session: Session, tmp_path: Path) -> None:
    long = '"' + "word " * (LONGEST // 5) + '" -s2'
    path = picture(tmp_path / "x.png", long)
    with pytest.raises(GalleryError, match=r"the line in .* has 32,7\d\d characters .*limit"):
        read_line_from(path)
    events = list(run_line(Context(session, tuple, COMMANDS), "!fetch x.png"))
    assert isinstance(events[0], Rejected)
    events = list(session.make("-I x.png -S1 -s2"))
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert saved.request.prompt == "" and "characters (the limit is 32,768)" in text_of(events)


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


TEXTS = {
    "long": chunk(b"tEXt", b"Dream\0" + b"x" * (LONGEST_TEXT + 1)),
    "bomb": chunk(b"zTXt", b"Dream\0\0" + zlib.compress(b"x" * (LONGEST_TEXT + 1), 9)),
    "international": chunk(b"iTXt", b"Dream\0\1\0\0\0" + zlib.compress(b"x" * (2 << 20), 9)),
    "many": chunk(b"zTXt", b"Dream\0\0" + zlib.compress(b"x" * 999_999, 9)) * 70,
    "damaged": chunk(b"tEXt", b"Dream\0x")[:-1] + b"\0",
    "no deflate": chunk(b"zTXt", b"Dream\0\0nonsense"),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_text_costs_no_picture(tmp_path: Path, kind: str, behind: bool) -> None:
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "plain.png")
    data = (tmp_path / "plain.png").read_bytes()
    at = len(data) - 12 if behind else 33
    path = tmp_path / "x.png"
    path.write_bytes(data[:at] + TEXTS[kind] + data[at:])
    assert measure_image(path) == (64, 48)
    found = open_picture(path)
    assert found.image.getpixel((9, 9)) == (0, 128, 128)
    assert any("too large or damaged; they are ignored" in note for note in found.notes)


def test_every_line_break_is_known() -> None:
    for code in range(0x110000):
        if len(f"a{chr(code)}b".splitlines()) > 1:
            assert join_lines_of_text(chr(code)) == " ", hex(code)


@pytest.mark.parametrize("line", ["!fix {} -U2", "-I {} -S1", "x -S1 -I file://["])
def test_what_is_no_file_is_refused_at_once(session: Session, tmp_path: Path, line: str) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    events = list(session.make(line.format("pipe.png")))
    assert isinstance(events[-1], Rejected)


def test_fix_says_that_a_line_too_long_costs_the_settings(session: Session, tmp_path: Path) -> None:
    picture(tmp_path / "x.png", f'"{"a" * LONGEST}" -s20 -S42')
    events = list(session.make("!fix x.png -U2"))
    assert any(isinstance(event, Saved) for event in events)
    assert "its settings are not used" in text_of(events)
    Image.new("RGB", (64, 64)).save(tmp_path / "plain.png")
    assert "settings" not in text_of(list(session.make("!fix plain.png -U2")))
