"""Pictures and their text, through every door that opens them; and what a terminal says."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from random import Random

from dream.gallery import read_record
from dream.gallery.metadata import read_metadata
from dream.graphics.terminal import MOST_PIXELS, PROTOCOLS, Terminal, Tmux, describe_terminal
from dream.graphics.terminal_images import TerminalImages
from dream.graphics.terminal_query import parse_answers
from dream.inputs import measure_image, open_picture, read_mask
from dream.session.image_prompts import read_line_from, read_logged_line, read_request_from
from scripts.fuzzing.mutations import GROWN, mutate
from scripts.fuzzing.runner import Reader

Read = Callable[[Path], object]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LINE = b'"a red circle" -s 20 -S 42 -W 64 -H 64 -C 7.5 -A k_lms [ugly]'
_RECORD = (
    b'{"line": "a red circle -s20 -S42", "request": {"prompt": "a red circle", "steps": 20},'
    b' "facts": {"dream": "1.0", "weights": "abc"}, "sha256": "%s", "steps": [{"scale": 2}],'
    b' "origin": "a circle", "signature": "x"}' % (b"a" * 64)
)
_WORDS = (
    *(b"-s", b"-S", b"-I ../x", b"!del_model x", b'"', b"'", b"\\", b"[", b"]", b"-n99999", b"::"),
    *(b"\n", b"\r", b"\0", b"\x1b[2J", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff", b"9" * 5000, b"#"),
    *(b"{", b"}", b":", b",", b"null", b"NaN", b"\\ud800", b'"line":', b'"request":', b'"facts":'),
)
_PNG_WORDS = (b"IHDR", b"IDAT", b"IEND", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"acTL")
_SIDE = 8


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, whole and with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, before: bool = True) -> bytes:
    """A picture of 8x8 grey pixels with these chunks before its pixels, or behind them."""
    head = chunk(b"IHDR", struct.pack(">2I5B", _SIDE, _SIDE, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((_SIDE + 1) * _SIDE)))
    more = b"".join(chunks)
    middle = more + pixels if before else pixels + more
    return _SIGNATURE + head + middle + chunk(b"IEND", b"")


def _one_of(readers: Sequence[Read], data: bytes) -> Read:
    return readers[zlib.crc32(data) % len(readers)]


def _text(random: Random) -> bytes:
    """A text chunk of any of the three kinds, that is what it says or is changed."""
    key, text = random.choice(((b"Dream", _LINE), (b"dream_record", _RECORD), (b"dream", _RECORD)))
    if random.random() < 0.9:
        text = mutate(random, text, _WORDS)
    if random.random() < 0.05:
        key = mutate(random, key)[:200]
    match random.randrange(4):
        case 0:
            return chunk(b"tEXt", key + b"\0" + text)
        case 1:
            return chunk(b"zTXt", key + b"\0\0" + zlib.compress(text, 1))
        case 2:
            return chunk(b"iTXt", key + b"\0\1\0\0\0" + zlib.compress(text, 1))
        case _:
            return chunk(b"iTXt", key + b"\0\0\0\0\0" + text)


def _png_text(random: Random) -> bytes:
    if random.randrange(GROWN * 4) == 0:  # far more text than is read, in little room
        bomb = zlib.compress(bytes(random.randrange(64 << 20)), 1)
        return png(chunk(b"zTXt", b"Dream\0\0" + bomb))
    if random.randrange(GROWN * 4) == 0:
        return png(chunk(b"tEXt", b"a\0b") * random.randrange(100_000))
    data = png(
        *(_text(random) for _ in range(random.randrange(1, 4))), before=random.random() < 0.7
    )
    return mutate(random, data, _PNG_WORDS) if random.random() < 0.2 else data


def _read_png_text(data: bytes, folder: Path) -> object:
    path = folder / "a.png"
    path.write_bytes(data)
    said = _one_of(
        (read_metadata, read_record, read_line_from, read_logged_line, read_request_from), data
    )(path)
    if isinstance(said, str) and (said.splitlines() != [said] or said.startswith("!")):
        raise AssertionError(f"{said[:80]!r} is more than one line, or a command")
    return said


@lru_cache
def _whole_pictures() -> tuple[bytes, ...]:
    """One of each format and mode that is quick to write."""
    from PIL import Image

    found = [png()]
    ways = {
        "PNG": ("1", "P", "LA", "RGB", "RGBA", "I;16"),
        "JPEG": ("L", "RGB", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
        "TIFF": ("L", "RGB", "CMYK"),
        "GIF": ("P",),
        "BMP": ("RGB",),
        "PPM": ("RGB",),
        "TGA": ("RGBA",),
        "PCX": ("RGB",),
        "SGI": ("RGB",),
        "ICO": ("RGBA",),
        "QOI": ("RGB",),
        "JPEG2000": ("RGB",),
    }
    for kind, modes in ways.items():
        for mode in modes:
            file = io.BytesIO()
            with suppress(OSError, KeyError, ValueError):  # not every Pillow writes all of them
                Image.new(mode, (_SIDE, _SIDE)).save(file, kind)
                found.append(file.getvalue())
    return tuple(found)


def _picture(random: Random) -> bytes:
    return mutate(random, random.choice(_whole_pictures()), _PNG_WORDS)


_LARGE_PICTURE = 1 << 29
"""Bytes: 89 million pixels are opened, of three or four bytes, and turned into RGB. A WebP file of
44 bytes may say that it has as many."""
_SHOWN = TerminalImages(terminal=Terminal(protocol="symbols"), screen=lambda: (20, 10), size=8)


def _open(data: bytes, folder: Path) -> object:
    """Through one of the doors that pictures are opened by: which, its bytes decide."""
    path = folder / "a.png"
    path.write_bytes(data)
    doors = (measure_image, lambda path: read_mask(open_picture(path)), _SHOWN.show, read_record)
    return _one_of(doors, data)(path)


_ANSWERS = (
    b"\x1b_Gi=31;OK\x1b\\\x1bP>|WezTerm 20240203\x1b\\\x1b[6;16;8t\x1b[?62;4;22c",
    b"q\x1b[?1;2c",
    b"\x1b_Gi=31;ENOENT:no\x1b\\typed ahead\x1b[6;0;0t\x1b[?65c",
)
_ANSWER_WORDS = (
    *(b"\x1b", b"\x1b[?", b"\x1b_G", b"\x1bP>|", b"\x1b\\", b"\x1b[6;", b"t", b"c", b";", b"OK"),
    *(b"9" * 5000, b"9999", b"-1", b"\xc3", b"\xff", b"\0", b"kitty", b"i=31;", b"\xd9\xa1"),
)


def _answer(random: Random) -> bytes:
    return mutate(random, random.choice(_ANSWERS), _ANSWER_WORDS)


def _hear(data: bytes, folder: Path) -> object:
    """What a terminal says, and what would be drawn on it after that."""
    answers, _typed = parse_answers(data)
    for tmux in (None, Tmux(passthrough=True, outside=answers.version)):
        terminal = describe_terminal({"TERM": "xterm"}, answers, tmux)
        width, height = terminal.cell
        if terminal.protocol not in PROTOCOLS or not 0 < max(width, height) * 4 <= MOST_PIXELS:
            raise AssertionError(f"{terminal} cannot be drawn on")
    return answers


READERS = (
    Reader("png text", _png_text, _read_png_text),
    Reader("pictures", _picture, _open, memory=_LARGE_PICTURE),
    Reader("terminal answers", _answer, _hear, ()),
)
