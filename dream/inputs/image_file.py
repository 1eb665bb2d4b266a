"""Opens an image file of any origin: its pixels as upright RGB, and the hash of its bytes."""

from __future__ import annotations

import hashlib
import io
import logging
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from dream.core.errors import InputError, summarize
from dream.core.jpeg_markers import START as JPEG_START
from dream.core.jpeg_markers import find_segments
from dream.core.png_chunks import remove_bad_text
from dream.inputs.color_profiles import convert_to_srgb, fix_transparency
from dream.inputs.orientation import measure_upright, read_orientation

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000"),
    *("TGA", "PCX", "ICO", "PSD", "SGI"),
)
"""Supported formats, in Pillow's names; none whose decoder starts another program, or
is written in Python: Pillow needs a second for 2 MB of QOI."""

ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".gif"),
    *(".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".jp2", ".tga", ".pcx", ".ico", ".psd"),
    ".sgi",
)
"""Usual suffixes of such files, in lower case."""

MAX_BYTES = 1 << 30
"""Maximum bytes of a file; 8000x8000 pixels of four 16-bit channels are half of it."""

SMALL_PIXELS, PIXELS_PER_BYTE = 1 << 24, 1 << 14
"""An image may have 4096 x 4096 pixels, and 16,384 more for each byte of its file. A PNG of one
colour has 1,000 to 8,000 pixels to a byte."""

_DISCARD = logging.NullHandler()
"""Discards Pillow's log messages about damaged files, which would be printed over the prompt."""
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True)
class LoadedImage:
    """An image from a file. It is never changed in place."""

    path: Path
    image: Image
    """RGB, 8 bits, upright."""
    alpha: Image | None
    """L, of the same size: 0 is transparent; None if the image is opaque."""
    sha256: str
    """Hash of the file's bytes, 64 hex digits."""
    notes: tuple[str, ...] = ()
    """Messages for the user, such as that only the first frame is used."""


def open_picture(path: Path) -> LoadedImage:
    """Read an image of up to some 89 million pixels, in any usual format and mode.

    Raises InputError, in one line, for a file that does not exist, is truncated, is not an image,
    or is a decompression bomb.
    """
    data = read_bytes(path)
    file, left_out = remove_bad_text(io.BytesIO(data))

    def decode(opened: Image) -> tuple[Image, Image | None, tuple[str, ...]]:
        _check_claim(path, opened.size, len(data))
        return _decode_pixels(path, opened)

    image, alpha, notes = _decode(path, file, decode)
    if left_out:
        ignored = f"{path} has text chunks that are too large or damaged; they are ignored"
        notes = (*notes, ignored)
    return LoadedImage(path, image, alpha, hashlib.sha256(data).hexdigest(), notes)


def _check_claim(path: Path, size: tuple[int, int], file_size: int) -> None:
    """Raises InputError for a few bytes that claim many pixels: decoding would take a second and
    hundreds of megabytes."""
    pixels = size[0] * size[1]
    if pixels > SMALL_PIXELS + PIXELS_PER_BYTE * file_size:
        raise InputError(
            f"{path} claims {pixels // 10**6} million pixels in {file_size:,} bytes",
            "save it again as PNG",
        )


def measure_image(path: Path) -> tuple[int, int]:
    """Width and height, upright, without decoding the pixels. Raises InputError."""
    with _checked_file(path), path.open("rb") as file:
        return _decode(path, remove_bad_text(file)[0], measure_upright)


def hash_file(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits. Raises InputError if it cannot be read."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


# ── the file ───────────────────────────────────────────────────────────────────────────────────


def read_bytes(path: Path) -> bytes:
    """The content of an image file, undecoded. Raises InputError if it cannot be read, and for what
    is not a regular file."""
    with _checked_file(path):
        return path.read_bytes()


@contextmanager
def _checked_file(path: Path) -> Iterator[None]:
    """Raises InputError for a path that is not a regular file, and instead of errors while
    reading."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise InputError(f"{path} is {kind}", "use an image file")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path} is too large for an image: {status.st_size >> 20} MiB")
        yield
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}", _suggest_names(path)) from error
    except (OSError, ValueError) as error:  # ValueError: an invalid file name
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error


def _suggest_names(path: Path) -> str:
    try:
        similar = get_close_matches(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return ""
    return f"did you mean {' or '.join(similar)}?" if similar else ""


def _decode(path: Path, file: IO[bytes], take: Callable[[Image], T]) -> T:
    """Open the image in this file and return the result of `take`. Raises InputError."""
    from PIL import Image, UnidentifiedImageError  # imported with the first image

    logging.getLogger("PIL").addHandler(_DISCARD)
    head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in _HEIC:
        _register_heic(path)
    if head.startswith(JPEG_START):
        _check_segments(path, file)
    file.seek(0)
    try:
        Image.init()
        formats = [name for name in FORMATS if name in Image.OPEN]
        with _bombs_as_errors(), Image.open(file, formats=formats) as image:
            return take(image)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{path} has more than {most} million pixels", "scale it down") from error
    except UnidentifiedImageError as error:
        what = "is empty" if not head else "is not an image, or its format is not supported"
        raise InputError(f"{path} {what}", "use PNG, JPEG, WebP or TIFF") from error
    except Exception as error:
        # On damaged data, decoders raise errors of every kind.
        raise InputError(f"{path} is damaged or truncated: {summarize(error)}") from error


def _check_segments(path: Path, file: IO[bytes]) -> None:
    """Raises InputError for a JPEG whose segments Pillow would look for byte by byte, for
    seconds."""
    try:
        for _ in find_segments(file):
            pass
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}", "save it again as PNG") from error


@contextmanager
def _bombs_as_errors() -> Iterator[None]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _register_heic(path: Path) -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        hint = "pip install pillow-heif, or save it as JPEG"
        raise InputError(f"{path} is HEIC, which needs the package pillow-heif", hint) from error
    register_heif_opener()


def _decode_pixels(path: Path, opened: Image) -> tuple[Image, Image | None, tuple[str, ...]]:
    notes, turn = _frame_notes(path, opened), read_orientation(opened)
    fix_transparency(opened)
    opened.load()
    image, alpha = convert_to_srgb(path, opened if turn is None else opened.transpose(turn))
    return image, alpha, notes


def _frame_notes(path: Path, opened: Image) -> tuple[str, ...]:
    """A note if the file has several frames; not for JPEG, whose second image is a preview."""
    count = getattr(opened, "n_frames", 1)
    if count < 2 or opened.format not in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        return ()
    frames = "pages" if opened.format == "TIFF" else "frames"
    return (f"{path} has {count} {frames}; only the first is used",)
