"""The formats that images are saved in, what is written into them, and what others read there."""

from __future__ import annotations

import errno
import getpass
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from dream.core.events import Event, Note, Saved, Verified
from dream.core.request import FLAGS, Request, to_dict
from dream.gallery import Gallery, read_record
from dream.gallery.image_writer import Encoding, fits, make_xmp, write_image
from dream.gallery.log import parse_logged_name
from dream.gallery.metadata import read_metadata
from dream.gallery.png import PARAMETERS, read_chunks
from dream.gallery.readers.a1111 import parse_parameters
from dream.line import parse_line
from dream.options.lora import Lora
from dream.prompt import Fragment, How, PromptError, convert_to_a1111, parse_prompt
from dream.session import Session
from dream.session.a1111_text import format_a1111
from dream.session.foreign_lines import find_nearest
from dream.session.foreign_models import ModelLookup
from dream.session.image_prompts import read_line_from
from dream.session.private_paths import hide_private_path
from dream.session.templates import keep_words
from tests.fakes import fake_session
from tests.gallery.writer import noise
from tests.line.test_round_trip import PATIENT, REQUESTS

OTHERS = ("jpeg", "webp", "avif")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path)


def made(session: Session, line: str) -> Saved:
    (event,) = [event for event in session.make(line) if isinstance(event, Saved)]
    return event


@pytest.mark.parametrize("kind", OTHERS)
def test_each_format_carries_the_record(session: Session, kind: str) -> None:
    saved = made(session, f'a "red" <circle> & 猫 [ugly] -S7 -s5 --format {kind} --quality 60')
    assert saved.path.suffix == {"jpeg": ".jpg"}.get(kind, f".{kind}")
    with Image.open(saved.path) as image:
        assert image.format == {"jpeg": "JPEG"}.get(kind, kind.upper()) and image.mode == "RGB"
    record = read_record(saved.path)
    assert (record.line, record.sha256) == (saved.line, saved.sha256)
    assert read_line_from(saved.path) == saved.line
    foreign = parse_parameters(read_chunks(saved.path)["EXIF UserComment"])
    assert foreign is not None and (foreign.tool, foreign.seed) == ("dream", 7)
    log = session.outdir.joinpath("dream_log.txt").read_text(encoding="utf-8")
    assert f"{saved.path.name}: {saved.line} # sha256:{saved.sha256[:16]}" in log
    assert parse_logged_name(log) == saved.path.name


@pytest.mark.parametrize("kind", OTHERS)
def test_verify_compares_the_pixels_before_encoding(session: Session, kind: str) -> None:
    made(session, f"a cat -S7 --format {kind}")
    events = list(session.verify(session.outdir / "dream_log.txt"))
    (verified,) = [event for event in events if isinstance(event, Verified)]
    assert verified.same


@pytest.mark.parametrize("kind", OTHERS)
def test_what_a_crash_lost_is_found(session: Session, kind: str) -> None:
    saved = made(session, f"a cat -S7 --format {kind}")
    log = session.outdir / "dream_log.txt"
    before = log.read_text(encoding="utf-8")
    log.write_text("")
    assert Gallery(session.outdir).recover() == (before.strip(),)
    assert log.read_text(encoding="utf-8") == before
    assert made(session, "a dog -S8").path.name.startswith("000002.")
    assert saved.path.name.startswith("000001.")


def test_other_endings_are_named_and_never_overwritten(session: Session) -> None:
    first = made(session, "a cat -S7 --format jpeg --fnformat x.{seed}.png")
    second = made(session, "a cat -S7 --format jpeg --fnformat x.{seed}.png")
    assert [first.path.name, second.path.name] == ["x.7.jpg", "x.7.01.jpg"]
    fixed = made(session, f"!fix {first.path} -U2 --format webp")
    assert fixed.path.name == "x.7.upscaled.webp"
    assert read_record(fixed.path).origin == first.line


def test_fix_skips_what_is_done_in_any_format(session: Session) -> None:
    for seed in (1, 2):
        made(session, f"a cat -S{seed} --format webp")
    line = f"!fix {session.outdir} -U2 --format webp"
    assert sum(isinstance(event, Saved) for event in session.make(line)) == 2
    assert sum(isinstance(event, Saved) for event in session.make(line)) == 0


def test_a_grid_has_the_format(session: Session) -> None:
    list(session.make("a cat -S1 -n2 -g --format webp"))
    (grid,) = session.outdir.glob("*.grid.webp")
    assert read_metadata(grid).grid.startswith('"a cat"')


def test_what_a_format_cannot_hold_is_a_png(session: Session) -> None:
    assert not fits((20_000, 8), Encoding("webp")) and fits((20_000, 8), Encoding())


def test_a_long_record_is_shortened_for_jpeg() -> None:
    record = {"line": "x" * 40_000, "request": {"prompt": "y" * 40_000}}
    chunks = {"Dream": "z" * 40_000, "dream_record": json.dumps(record)}
    assert b"yyy" in make_xmp(chunks, 0)
    short = make_xmp(chunks, 65_000)
    assert b"xxx" in short and b"yyy" not in short and len(short) <= 65_000
    far_too_long = {"Dream": "x" * 80_000, "dream_record": json.dumps({"line": "x" * 80_000})}
    assert make_xmp(far_too_long, 65_000) == b""


# ── --metadata ─────────────────────────────────────────────────────────────────────────────────


def test_metadata_chooses_what_is_written(session: Session) -> None:
    for kinds, keys in {
        "dream,a1111": {"Dream", "dream_record", "parameters"},
        "a1111": {"parameters"},
        "dream": {"Dream", "dream_record"},
        "none": set[str](),
    }.items():
        assert read_chunks(made(session, f"a cat -S1 --metadata {kinds}").path).keys() == keys
    for kind in OTHERS:
        saved = made(session, f"a cat -S1 -g --format {kind} --metadata none")
        assert read_chunks(saved.path) == {}


def test_a_text_file_is_written_beside(session: Session) -> None:
    saved = made(session, "a cat -S1 --metadata txt")
    text = saved.path.with_suffix(".txt").read_text(encoding="utf-8")
    assert text.startswith("a cat\nSteps: ")
    assert read_chunks(saved.path) == {}
    assert read_line_from(saved.path).startswith('"a cat"')


def test_a_text_file_that_cannot_be_written_is_noted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def refuse(source: Path, target: Path) -> None:
        if Path(target).suffix == ".txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        link(source, target)

    monkeypatch.setattr(os, "link", refuse)
    *_, saved, note = session.make("a cat -S1 --metadata dream,txt")
    assert isinstance(saved, Saved) and isinstance(note, Note)
    assert note.text.startswith(f"{saved.path.stem}.txt was not saved: ")
    assert "no space is left" in note.text
    assert {path.name for path in session.outdir.iterdir()} == {saved.path.name, "dream_log.txt"}


@pytest.mark.parametrize("quality", [90, 95, 100])
def test_an_image_of_noise_is_a_jpeg(quality: int) -> None:
    file = io.BytesIO()
    write_image(noise(3, 128).image, {PARAMETERS: "x"}, Encoding("jpeg", quality), file)
    with Image.open(file) as opened:
        assert opened.convert("RGB").size == (128, 128)


def test_a_prompt_cannot_be_taken_for_keys() -> None:
    asked = resolved(Request(prompt="a cat [x], Seed: 5, Steps: 99\nSeed: 6", seed=7))
    last = format_a1111(asked).rpartition("\n")[2]
    assert [part for part in last.split(",") if "Seed:" in part] == [" Seed: 7"]


def test_loras_are_in_the_prompt_as_there() -> None:
    asked = resolved(
        Request(prompt="a cat", lora=(Lora("ink", 0.8), Lora("/x/b.safetensors", 1, 0.5)))
    )
    assert format_a1111(asked).startswith("a cat <lora:ink:0.8> <lora:b:0.5:1>\nSteps: ")


@pytest.mark.parametrize(
    ("prompt", "syntax", "text"),
    [
        ("a cat++ on a (big)0.5 mat", "invokeai", "a (cat:1.21) on a (big:0.5) mat"),
        ("a (cat) [dog-]", "invokeai", "a cat\nNegative prompt: (dog:0.9)"),
        ("mountain \\(man\\), (hot)--- 16:9", "invokeai", "mountain \\(man\\), (hot:0.729) 16:9"),
        ('("a cat", "a dog++").and()', "invokeai", "a cat BREAK a (dog:1.21)"),
        ('("a", "b").blend(1, 2)', "invokeai", '("a", "b").blend(1, 2)'),
        ("a cat.swap(dog)", "invokeai", "a cat.swap(dog)"),
        ("a photo (1990s)++ [x]", "plain", "a photo \\(1990s\\)++\nNegative prompt: x"),
        ("a (cat:1.3) [x]", "a1111", "a (cat:1.3) [x]"),
    ],
)
def test_weights_are_written_as_a1111_has_them(prompt: str, syntax: str, text: str) -> None:
    asked = resolved(Request(prompt=prompt, syntax=syntax))
    written = format_a1111(asked)
    assert written.startswith(f"{text}\nSteps: ")
    record = parse_parameters(written)
    assert record is not None
    read = find_nearest(record, AnyModel(None)).request
    assert (read.prompt, read.syntax) == (prompt, syntax), "the key Dream has the line itself"


@settings(PATIENT, max_examples=100)
@given(st.text('ab (){}+-.\\"|,0123', max_size=30))
def test_words_and_weights_mean_the_same_there(prompt: str) -> None:
    try:
        parsed = parse_prompt(prompt, "", "invokeai").positive
    except PromptError:
        return
    text = convert_to_a1111(parsed)
    if text is None or parsed.how is not How.TEXT:
        return
    pieces = parse_prompt(text, "", "a1111").positive.parts[0].pieces
    for piece, other in zip(pieces, parsed.parts[0].pieces, strict=True):
        assert isinstance(piece, Fragment) and isinstance(other, Fragment)
        assert piece.text == other.text and abs(piece.weight - other.weight) < 1e-4


def test_the_text_is_as_a1111_writes_it(session: Session) -> None:
    line = '"a red circle [ugly]" -s20 -S42 -W128 -H64 -C7 -Ak_euler_a -V7:0.3 --perlin=0.2'
    text = read_chunks(made(session, line).path)["parameters"]
    assert text == (
        "a red circle\n"
        "Negative prompt: ugly\n"
        "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 42, "
        "Size: 128x64, Model: tiny, Variation seed: 7, Variation seed strength: 0.3, RNG: CPU, "
        'Dream: --prompt="a red circle [ugly]" --no-negative --schedule=model '
        "--syntax=invokeai --perlin=0.2, "
        f"Version: dream {__import__('dream').__version__}"
    )


def resolved(request: Request) -> Request:
    """As a saved image's request is: nothing that its text needs is open."""
    usual = Request(
        steps=20,
        seed=7,
        width=64,
        height=64,
        cfg_scale=7,
        sampler="ddim",
        schedule="model",
        model="tiny",
    )
    left = {name: value for name, value in to_dict(usual).items() if name != "seed"}
    left = {name: value for name, value in left.items() if getattr(request, name) is None}
    request = replace(request, **left, seed=max(0, request.seed or 0))
    return replace(request, wildcards=keep_words(request))


class AnyModel(ModelLookup):
    def find_model(self, name: str, digest: str) -> str:
        return name

    def find_vae(self, name: str) -> str:
        return name


@settings(PATIENT, max_examples=150)
@given(REQUESTS)
def test_the_text_reads_back_as_the_same_request(asked: Request) -> None:
    asked = resolved(asked)
    record = parse_parameters(format_a1111(asked, "ab" * 32))
    assert record is not None
    read = find_nearest(record, AnyModel(None)).request
    own = [name for name, flag in FLAGS.items() if flag.affects_image]
    assert {name: getattr(read, name) for name in own} == {
        name: getattr(asked, name) for name in own
    }


@pytest.mark.parametrize("metadata", ["a1111", "dream,a1111"])
def test_sd_parsers_reads_it(session: Session, metadata: str) -> None:
    line = f"a red circle [ugly] -S42 -s20 -C7 -Ak_euler --metadata {metadata}"
    for kind in ("png", "jpeg", "webp"):
        path = made(session, f"{line} --format {kind}").path
        found = ParserManager().parse(path)
        assert found is not None and [p.value for p in found.prompts] == ["a red circle"]
        assert [p.value for p in found.negative_prompts] == ["ugly"]
        (sampler,) = found.samplers
        asked = {"steps": 20, "seed": 42, "cfg_scale": 7}
        assert {key: float(sampler.parameters[key]) for key in asked} == asked


# ── privacy ────────────────────────────────────────────────────────────────────────────────────


def test_no_home_folder_and_no_user_name_is_written(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "homes" / "alice"
    (home / "pics").mkdir(parents=True)
    (tmp_path / "usb" / "alice").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    for place in (home / "pics", tmp_path / "usb" / "alice"):
        Image.new("RGB", (64, 64)).save(place / "a.png")
    for kind in ("png", "jpeg"):
        for line in (
            f"a cat of alice -I {home}/pics/a.png -S1 -g --metadata dream,a1111,txt",
            f"a cat -I {tmp_path}/usb/alice/a.png -S1 --metadata dream,a1111,txt",
            f"!fix {home}/pics/a.png -U2",
        ):
            list(session.make(f"{line} --format {kind}"))
    images = [path for path in session.outdir.iterdir() if path.name != "dream_log.txt"]
    assert len(images) >= 12
    for path in images:
        data = path.read_bytes() + path.read_bytes().replace(b"\0", b"")
        assert b"homes/alice" not in data and b"usb/alice" not in data, path
    (first,) = session.outdir.glob("000001.*1.png")
    assert parse_line(read_line_from(first)).init_img == "~/pics/a.png"
    assert f"{home}/pics/a.png" in (session.outdir / "dream_log.txt").read_text(encoding="utf-8")


def test_paths_are_hidden_only_where_they_are_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/bob")
    monkeypatch.setattr(getpass, "getuser", lambda: "bob")
    for path, shown in {
        "/home/bob/a.png": "~/a.png",
        "/home/bobby/a.png": "/home/bobby/a.png",
        "/media/bob/a.png": "a.png",
        "/home/bob/bob/a.png": "a.png",
        "a.png": "a.png",
        "bob/a.png": "bob/a.png",
        "tiny": "tiny",
    }.items():
        assert hide_private_path(path) == shown


def test_notes_are_events(session: Session) -> None:
    events: list[Event] = list(session.make("a cat -S1 --format png --quality 3"))
    assert not [event for event in events if isinstance(event, Note)]
