"""Images and texts of other programs: whatever they hold, the line is one prompt with switches."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from random import Random

from dream.gallery.metadata import read_metadata
from dream.line import parse_line
from dream.session.image_prompts import read_image_line, read_logged_line
from scripts.fuzzing.mutations import mutate
from scripts.fuzzing.pictures import chunk, png
from scripts.fuzzing.runner import Reader

FOLDER = Path(__file__).parents[2] / "tests" / "data" / "foreign"
_WORDS = (
    *(b"Steps: ", b"Seed: ", b"Negative prompt: ", b"Size: ", b"Model: ", b", ", b": ", b'"'),
    *(b"Hires upscale: ", b"Denoising strength: ", b"Version: ", b"Dream: ", b"Hashes: {", b"\\"),
    *(b"{", b"}", b"[", b"]", b"null", b"NaN", b"1e999", b"9" * 400, b'["3",0]', b"<lora:"),
    *(b'"inputs":', b'"positive":', b'"seed":', b"\n", b"\r", b"\0", b"\x1b[2J", b"\xc2\x9b"),
    *(b"::", b"-I /etc/passwd", b"!del_model x", b"UNICODE\0", b"stealth_pngcomp", b"\\ud800"),
    *(b"Exif\0\0", b"MM\0*", b"II*\0", b"\xff\xe1", b"ftypavif", b"iloc", b"iinf", b"VP8X"),
    *(b"EXIF", b"-", b"\xff", b'"class_type":'),
)


@lru_cache
def _samples() -> tuple[tuple[str, bytes], ...]:
    return tuple((path.suffix, path.read_bytes()) for path in sorted(FOLDER.iterdir()))


@lru_cache
def _texts() -> tuple[tuple[bytes, bytes], ...]:
    """The texts of the samples that are PNGs, by keyword."""
    found = []
    for path in sorted(FOLDER.glob("*.png")):
        for key, text in read_metadata(path).others.items():
            found.append((key.encode("latin-1", "replace"), text.encode("utf-8")))
    return tuple(found)


def _case(random: Random) -> bytes:
    """The ending of a file, an empty byte, and its bytes."""
    if random.random() < 0.4:
        ending, data = random.choice(_samples())
        return ending.encode() + b"\0" + mutate(random, data, _WORDS)
    key, text = random.choice(_texts())
    if random.random() < 0.3 and text.startswith(b'{"'):
        text = json.dumps(_shuffle(random, json.loads(text))).encode()
    else:
        text = mutate(random, text, _WORDS)
    if random.random() < 0.2:
        return random.choice((b".txt", b".json")) + b"\0" + text
    return b".png\0" + png(chunk(b"iTXt", key + b"\0\0\0\0\0" + text))


def _shuffle(random: Random, value: object) -> object:
    """JSON with a few of its values replaced by others of it, or by values of other types."""
    if random.random() < 0.02:
        return random.choice(
            (None, True, -1, 1e308, 2**70, "", "x" * 300, [], {}, ["3", 0], [["3", 0]], "\x1b[1m")
        )
    if isinstance(value, dict):
        return {key: _shuffle(random, one) for key, one in value.items()}
    return [_shuffle(random, one) for one in value] if isinstance(value, list) else value


def _read(data: bytes, folder: Path) -> object:
    ending, _, content = data.partition(b"\0")
    path = folder / f"a{ending.decode()}"
    for other in folder.iterdir():
        other.unlink()  # a text beside an image would be read with it
    path.write_bytes(content)
    found = read_image_line(path)
    logged = read_logged_line(path)
    said = (found.line, *found.notes, logged)
    if any("\n" in text or "\x1b" in text for text in said) or found.line.startswith("!del"):
        raise AssertionError(f"{said!r:.200} is more than one line, or a command")
    if read_metadata(path).foreign is not None:
        request = parse_line(found.line)
        if not found.line.startswith('"') or request.init_img or request.outdir:
            raise AssertionError(f"{found.line[:200]!r} is more than a prompt and its settings")
    return found


READERS = (Reader("foreign records", _case, _read),)
