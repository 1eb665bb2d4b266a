"""Reads the bytes of a log or of a list of prompts, from a file or a pipe, as lines of text.

dream writes UTF-8. Encodings of Windows and of older programs are read too; a note says
which one was used.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain

from dream.core.bounded_reading import LINE_LIMIT
from dream.core.errors import GalleryError

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_lines(chunks: Iterable[bytes], name: str, on_note: Callable[[str], None]) -> Iterator[str]:
    """The lines of bytes that come in chunks, each up to a line break; `name` is the file's.

    Only \\n ends a line, since a prompt may contain any other separator. Text is UTF-8, with or
    without a byte order mark; GB18030 or Windows-1252 for lines that are not UTF-8; or UTF-16 with
    a byte order mark. `on_note` is called once for each encoding that is not UTF-8. Raises
    GalleryError at the first line if it is not text. Of a line of more than `LINE_LIMIT`
    characters, one more than these are given: whoever parses it refuses it, without reading all.
    """
    rest = iter(chunks)
    first = next(rest, b"")
    if first.startswith(UTF16_MARKS):
        on_note(f"{name} is read as UTF-16")
        lines = _utf_16(chain([first], rest))
    elif b"\0" in first.removesuffix(b"\n").strip(b"\0"):
        raise GalleryError(f"{name} is not a text file", "expected a log or a list of prompts")
    else:
        first = first.removeprefix(codecs.BOM_UTF8)
        lines = _line_by_line(chain([first] if first else [], rest), name, on_note)
    # A power cut can leave zeros in place of a line.
    return (line.strip("\0").removesuffix("\r")[: LINE_LIMIT + 1] for line in lines)


def decoded(line: bytes) -> tuple[str, str]:
    """A line's text and its encoding: UTF-8; otherwise GB18030 if it clearly is Chinese, or
    Windows-1252."""
    other = "GB18030" if _is_chinese(line) else "Windows-1252"
    for encoding in ("UTF-8", other):
        with suppress(UnicodeDecodeError):
            return line.decode(encoding), encoding
    return line.decode("latin-1"), "Latin-1"


def _line_by_line(
    chunks: Iterable[bytes], name: str, on_note: Callable[[str], None]
) -> Iterator[str]:
    known = {"UTF-8"}
    for number, chunk in enumerate(chunks, 1):
        text, encoding = decoded(chunk.removesuffix(b"\n"))
        if encoding not in known:
            known.add(encoding)
            on_note(f"{name}, line {number}: not UTF-8, read as {encoding}")
        yield text


def _utf_16(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    half = ""
    for chunk in chunks:
        *whole, half = (half + decoder.decode(chunk)).split("\n")
        yield from whole
    if half := half + decoder.decode(b"", final=True):
        yield half


def _is_chinese(line: bytes) -> bool:
    """Whether all bytes beyond ASCII are pairs of GB 2312 (1980), most of them in its first plane
    of common characters. In Western text such bytes mostly stand alone."""
    try:
        text = line.decode("gb18030")
        pairs = [c.encode("gb2312") for c in text if not c.isascii()]
    except UnicodeError:
        return False
    common = sum(0xB0 <= pair[0] <= 0xD7 for pair in pairs)
    return common >= 1 and 2 * common >= len(pairs)
