from __future__ import annotations

import os
from pathlib import Path

import pytest

from dream.core.errors import GalleryError
from dream.gallery import LOG_NAME, read_last_lines, read_log, text_lines
from dream.gallery.log import (
    format_log_line,
    format_path,
    open_for_append,
    parse_logged_name,
    read_logged_names,
)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\n\ntwo", ["one", "", "two"]),
        (b"\xef\xbb\xbfone\r\ntwo\r\n", ["one", "two"]),
        ("a\u2028b\x0bc\x85d\re\n".encode(), ["a\u2028b\x0bc\x85d\re"]),
        ("猫 🐱\n".encode(), ["猫 🐱"]),
        (b"caf\xe9 \x93quoted\x94\nna\xc3\xafve\n", ["café “quoted”", "naïve"]),
        (b"\x81\n", ["\x81"]),
        ("müde\r\n猫\r\n".encode("utf-16"), ["müde", "猫"]),
        (b"\xfe\xff" + "a\nb".encode("utf-16-be"), ["a", "b"]),
        (b"whole\n\0\0\0\0\0", ["whole", ""]),
    ],
)
def test_lines_of_every_era_are_read(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    path = tmp_path / "dream_log.txt"
    path.write_bytes(data)
    assert list(read_log(path)) == list(enumerate(lines, 1))


def test_the_last_lines_are_whole(tmp_path: Path) -> None:
    log = tmp_path / LOG_NAME
    assert read_last_lines(log) == []
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert read_last_lines(log) == [f"line {n}" for n in range(100)]
    assert read_last_lines(log, 20) == ["line 98", "line 99"]


def test_what_cannot_be_read_is_said_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "dream_log.txt").touch()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / "noise.bin").write_bytes(b"\x01\0\x02\0")
    with pytest.raises(GalleryError, match=r"did you mean dream_log\.txt\?"):
        read_log(tmp_path / "dream_lgo.txt")
    with pytest.raises(GalleryError, match=r"there is no .*nowhere"):
        read_log(tmp_path / "nowhere" / "dream_log.txt")
    with pytest.raises(
        GalleryError, match=r"is a folder, not a log \(its log is .*dream_log.txt\)"
    ):
        read_log(tmp_path)
    with pytest.raises(GalleryError, match="not a text file"):
        read_log(tmp_path / "noise.bin")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('    outputs/img-samples/00009.png: "ashley judd riding a camel" -n2', "00009.png"),
        ('outputs/img-samples\\000413.3128109951.png: "young" -s50', "000413.3128109951.png"),
        ('[12] outputs/x/000001.2.png: "a.png: b" -s2', "000001.2.png"),
        ("# outputs/000042.grid.png: -g", "000042.grid.png"),
        ('000042.7.png: "a"', "000042.7.png"),
        ("a red circle", ""),
        ("", ""),
    ],
)
def test_a_line_names_its_picture(line: str, name: str) -> None:
    assert parse_logged_name(line) == name


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("outputs/img-samples/000042.7.png", "outputs/img-samples/000042.7.png"),
        ("./here/000042.7.png", "here/000042.7.png"),
        ("with space/a b.png", "with space/a b.png"),
        ("/absolute/000042.7.png", "/absolute/000042.7.png"),
        ("strange: folder/000042.7.png", "000042.7.png"),
        ("a\nb/000042.7.png", "000042.7.png"),
        ("#1/000042.7.png", "000042.7.png"),
        ("//server/share/000042.7.png", "000042.7.png"),
        ("-o/000042.7.png", "000042.7.png"),
    ],
)
def test_a_line_begins_with_a_path_that_cannot_be_misread(path: str, start: str) -> None:
    assert format_path(Path(path)) == start


def test_a_line_ends_with_what_the_pixels_depend_on() -> None:
    line = format_log_line(
        "a.png", '"a" -s2', "0123456789abcdef" * 4, {"weights": "fedcba9876543210"}
    )
    assert line == 'a.png: "a" -s2 # sha256:0123456789abcdef weights:fedcba98'
    assert format_log_line("a.png", "a", "f" * 64, {}).endswith(" # sha256:ffffffffffffffff")
    begun = format_log_line("a.png", "a", "f" * 64, {"init_img": "1" * 64, "device": "cpu"})
    assert begun.endswith(" # sha256:ffffffffffffffff init_img:1111111111111111")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"x.png: new\n"),
        (b"old\n", b"old\nx.png: new\n"),
        (b"old", b"old\nx.png: new\n"),
        (b"old\nx.png: n", b"old\nx.png: new\n"),
        (b"old\nx.png: new", b"old\nx.png: new\n"),
        (b"old\nx.png: \0\0\0", b"old\nx.png: \0\0\0\nx.png: new\n"),
    ],
)
def test_a_torn_line_never_fuses_with_the_next(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "dream_log.txt"
    path.write_bytes(before)
    with open_for_append(path) as tail:
        tail.append("x.png: new")
    assert path.read_bytes() == after


def test_only_whole_lines_count(tmp_path: Path) -> None:
    path = tmp_path / "dream_log.txt"
    path.write_bytes(b'a.png: "x"\nb.png: "y"')
    assert read_logged_names(path) == {"a.png"}
    assert read_logged_names(tmp_path / "none.txt") == set()


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (b"", []),
        ("müde 猫\n".encode("utf-8-sig"), []),
        (b"a\ncaf\xe9\nna\xefve\n", ["l, line 2: not UTF-8, read as Windows-1252"]),
        ("a\n蓝色背景\n".encode("gb18030"), ["l, line 2: not UTF-8, read as GB18030"]),
        ("müde\n".encode("utf-16"), ["l is read as UTF-16"]),
        (b"\x81\n", ["l, line 1: not UTF-8, read as Latin-1"]),
    ],
)
def test_an_encoding_that_is_not_utf_8_is_said_once(data: bytes, messages: list[str]) -> None:
    notes: list[str] = []
    list(text_lines(data.splitlines(keepends=True), "l", notes.append))
    assert notes == messages


def test_utf_16_may_come_in_any_pieces() -> None:
    data = "\u0a0a\r\n猫 🐱\nend".encode("utf-16")
    for size in (2, 3, 5, 100):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert list(text_lines(pieces, "l", lambda text: None)) == ["\u0a0a", "猫 🐱", "end"]


@pytest.mark.parametrize("kind", ["pipe", "device", "endless"])
def test_a_log_is_a_regular_file_of_bounded_size(tmp_path: Path, kind: str) -> None:
    log = tmp_path / "log.txt"
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "device":
        log.symlink_to("/dev/zero")
    else:
        with log.open("wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(GalleryError, match=r"not a regular file|larger than"):
        read_log(log)


def test_what_a_shell_hands_over_may_be_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a cat -S1\n")
    os.close(writer)
    assert list(read_log(Path(f"/dev/fd/{reader}"))) == [(1, "a cat -S1")]
    os.close(reader)
