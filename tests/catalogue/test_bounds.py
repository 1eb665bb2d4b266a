"""Whatever is in a file, its header is read in bounded time and memory; and only regular files are
read at all."""

from __future__ import annotations

import gc
import os
import random
import struct
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.detect import classify, detect, read_header, require_model
from dream.catalogue.read_yaml import parse_yaml
from dream.core.bounded_reading import parse_json, parse_toml, read_editable_toml
from dream.core.errors import ModelError
from scripts.fuzzing.weights import TENSOR, claimed, many_entries, packed
from tests.catalogue.test_detect import SD1, write

SECONDS, BYTES = 0.2, 64 << 20
"""Of work and of memory, for a header. The work on a processor that adds MILLION in ADDING seconds;
a slower or busier one may take as much longer."""
MILLION, ADDING = 1_000_000, 0.03

STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ"
)
LONG = b"\x8b" + struct.pack("<i", 20_000) + b"\xff" * 19_999 + b"\x7f"


def program(text: bytes) -> bytes:
    return packed(b"\x80\x02" + text + b".", zipfile.ZIP_DEFLATED)


def safetensors(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text + bytes(24)


def grown(piece: bytes) -> bytes:
    """A pickle as long as is read, of that piece over and over."""
    return program(piece * ((4 << 20) // len(piece) - 1))


def as_many(piece: bytes, steps: int) -> bytes:
    """A pickle of as many of those steps as are taken."""
    return program(piece * (299_000 // steps))


ROW = b'{"dtype":"F16","shape":[4,3],"data_offsets":[0,24]}'
ODD_ROW = b'{"shape":[4,3],"dtype":"F16","data_offsets":[0,24]}'

FILES: dict[str, Callable[[], bytes]] = {
    "a shape of 64 long numbers": lambda: program(
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + (STORAGE + b"K\0(" + LONG + b"q\x01" + b"h\x01" * 63 + b"t(K\x01t\x89}tR")
    ),
    "long text for a number": lambda: program(b"L" + b"9" * 4000 + b"L\n"),
    "sets": lambda: as_many(b"\x8f", 1),
    "dictionaries": lambda: as_many(b"}", 1),
    "remembered dictionaries": lambda: as_many(b"}\x94", 2),
    "lists": lambda: as_many(b"]", 1),
    "marks": lambda: as_many(b"(", 1),
    "nested tuples": lambda: program(b")" + b"\x85" * 299_000),
    "texts": lambda: as_many(b"X\2\0\0\0ab", 2),
    "wide texts": lambda: grown(b"X\x00\x0f\0\0" + b"a" * 3836 + "\U0001f600".encode()),
    "names": lambda: as_many(b"cx\ny\n0", 5),
    "tensors": lambda: program(
        b"}(" + b"".join(b"X\5\0\0\0%05d" % n + TENSOR for n in range(7000)) + b"u"
    ),
    "copies of a list": lambda: program(
        b"ccollections\nOrderedDict\nq\0]("
        + b"".join(b"M" + struct.pack("<H", n) + b"K\0\x86" for n in range(60_000))
        + (b"e\x85q\1" + b"h\0h\1R0" * 1000 + b"}")
    ),
    "more than is unpacked": lambda: program(b"}" * (40 << 20)),
    "a zip that lies about its size": lambda: claimed(
        random.Random(1), packed(b"}" * (1 << 20), zipfile.ZIP_BZIP2)
    ),
    "a zip of many entries": lambda: many_entries(90_000),
    "more entries than are read": lambda: many_entries(900_000),
    "rows": lambda: safetensors(
        b"{"
        + b",".join(b'"model.diffusion_model.%d.weight":' % n + ROW for n in range(19_000))
        + b"}"
    ),
    "odd rows": lambda: safetensors(
        b"{" + b",".join(b'"%d":' % n + ODD_ROW for n in range(19_000)) + b"}"
    ),
    "more rows than are read": lambda: safetensors(
        b"{" + b",".join(b'"%d":' % n + ROW for n in range(90_000)) + b"}"
    ),
    "a long note": lambda: safetensors(b'{"__metadata__":{"a":"' + b'\\"' * (4_000_000) + b'"}}'),
    "notes": lambda: safetensors(
        b'{"__metadata__":{' + b",".join(b'"%d":""' % n for n in range(300_000)) + b"}}"
    ),
    "a header of empty tables": lambda: safetensors(b'{"a":' + b"[" + b"{}," * 2_000_000 + b"{}]}"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_header_takes_bounded_time_and_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "it.ckpt"
    path.write_bytes(FILES[name]())

    def read() -> None:
        with suppress(ModelError):
            classify(read_header(path))

    def add() -> None:
        total = 0
        for number in range(MILLION):
            total += number

    def take(work: Callable[[], None]) -> float:
        gc.disable()  # a collection would walk what all other tests left behind
        start = time.thread_time()
        work()
        seconds = time.thread_time() - start
        gc.enable()
        return seconds

    assert min(take(read) / max(1, take(add) / ADDING) for _ in range(3)) < SECONDS
    tracemalloc.start()
    try:
        read()
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


def test_a_long_note_is_no_fault_of_a_whole_file(tmp_path: Path) -> None:
    notes = {"ss_tag_frequency": '{"a": 1}' * 300_000, "modelspec.resolution": "640x448"}
    found = detect(write(tmp_path / "m.safetensors", SD1, metadata=notes))
    assert (found.kind, found.size) == ("model", (640, 448))


def test_a_thousand_files_are_listed_at_once(tmp_path: Path) -> None:
    for number in range(1000):
        write(tmp_path / f"m{number:04}.safetensors", SD1)
    registry = ModelRegistry([tmp_path])
    start = time.thread_time()
    assert len(registry.list_models()) == 1000
    assert time.thread_time() - start < 2  # a second on a machine that does nothing else


# ── no regular files ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Puts what is no regular file somewhere."""

    def put(path: Path) -> None:
        match request.param:
            case "fifo":
                os.mkfifo(path)
            case "zero":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "dangling":
                path.symlink_to(tmp_path / "nowhere")
            case "loop":
                path.symlink_to(path.name)

    return put


SPECIAL = pytest.mark.parametrize(
    "place", ["fifo", "zero", "folder", "dangling", "loop"], indirect=True
)


@SPECIAL
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
def test_what_is_no_regular_file_is_never_waited_for(
    tmp_path: Path, place: Callable[[Path], None]
) -> None:
    place(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        detect(tmp_path / "m.safetensors")
    good = write(tmp_path / "good.safetensors", SD1)
    place(tmp_path / "good.yaml")
    assert require_model(good).prediction_type == "epsilon"
    place(tmp_path / "models.toml")
    folder = tmp_path / "part"
    folder.mkdir()
    for name in ("model_index.json", "card.toml"):
        place(folder / name)
    registry = ModelRegistry([tmp_path])
    assert [info.name for info in registry.list_models()] == ["good"]
    assert all("\n" not in message for message in registry.check_models())


def test_an_endless_configuration_beside_a_model_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.safetensors", SD1)
    with path.with_suffix(".yaml").open("wb") as file:
        file.write(b'linear_start: 1\nparameterization: "v"\n')
        file.truncate(1 << 40)
    assert detect(path).prediction_type == "epsilon"
    path.with_suffix(".yaml").write_text(
        'linear_start: 1\nparameterization: "v"\n' + " \t" * 50_000
    )
    start = time.thread_time()
    assert detect(path).prediction_type == "v_prediction"
    assert time.thread_time() - start < SECONDS


# ── odd text ───────────────────────────────────────────────────────────────────────────────────


def test_what_is_done_to_a_parsed_table_stays_there() -> None:
    text = 'knows = {colours = ["red"]}'
    table = parse_toml(text)
    table["knows"]["colours"].append("blue")
    del table["knows"]
    assert parse_toml(text) == {"knows": {"colours": ["red"]}}


@pytest.mark.parametrize(
    "text",
    [
        "a = 2001-99-99",
        "a = " + "9" * 5000,
        "a = " + "[" * 20_000,
        "a = " + "{a = " * 20_000,
        "a." * 30_000 + "a = 1",
        "[" + "a." * 30_000 + "a]",
        'a = "' + "\\" * 100_001,
        "x = 1\n" * 100_000,
    ],
)
def test_odd_toml_is_a_value_error_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "it.toml"
    path.write_text(text)
    start = time.thread_time()
    for read in (lambda: parse_toml(text), lambda: read_editable_toml(path)):
        with pytest.raises((ValueError, OSError)):
            read()
    assert time.thread_time() - start < 1


def test_many_dotted_keys_are_read_and_not_edited(tmp_path: Path) -> None:
    path = tmp_path / "it.toml"
    path.write_text("".join(f"models.m{n}.steps = 3\n" for n in range(2000)))
    assert len(parse_toml(path.read_text())["models"]) == 2000
    with pytest.raises(ValueError, match="dotted keys; write tables"):
        read_editable_toml(path)
    path.write_text(
        'description = "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r"\nm = [[0.1, 0.2], [0.3, 0.4]]'
    )
    assert read_editable_toml(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: 2001-99-99",
        "a: " + "9" * 5000,
        "a: " + "[" * 20_000,
        "a: 1" + ":1" * 20_000,
        "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]",
        "a: !!python/object/apply:os.system [x]",
        "[a]: b\n\x00",
    ],
)
def test_odd_yaml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_yaml(text.encode())


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, b"\xff", '{"a": ', b"\xff\xfe"])
def test_odd_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)
