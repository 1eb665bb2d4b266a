"""One picture's file, from anywhere: its pixels as upright RGB, and the hash of its bytes."""

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

from dream.core.errors import InputError
from dream.core.png_chunks import remove_bad_text
from dream.inputs.color_profiles import convert_to_srgb, fix_transparency
from dream.inputs.orientation import measure_upright, read_orientation

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000"),
    *("TGA", "PCX", "QOI", "ICO", "PSD", "SGI"),
)
"""Pillow's names of what is read: never one whose decoder starts another program."""

ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".gif"),
    *(".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".jp2", ".tga", ".pcx", ".qoi", ".ico", ".psd"),
    ".sgi",
)
"""How the names of such files usually end, in small letters."""

MAX_BYTES = 1 << 30
"""Of a file; 8000x8000 pixels of four times 16 bits are half of it."""

_UNSAID = logging.NullHandler()
"""For what Pillow logs of damaged files, which would be printed across the prompt."""
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True)
class LoadedImage:
    """A picture from a file. Its images are never changed in place."""

    path: Path
    image: Image
    """RGB, 8 bits, upright."""
    alpha: Image | None
    """L, of the same size: 0 is transparent; None where all is opaque."""
    sha256: str
    """Of the file's bytes, 64 hex digits."""
    notes: tuple[str, ...] = ()
    """What should be said: that only the first frame is taken."""


def open_picture(path: Path) -> LoadedImage:
    """Read a picture of 1x1 to some 89 million pixels, in any usual format and mode.

    Raises InputError, in one line, for a file that is not there, is cut short, is no picture, or
    is a decompression bomb.
    """
    data = _bytes(path)
    file, left_out = remove_bad_text(io.BytesIO(data))
    image, alpha, notes = _decoded(path, file, lambda found: _pixels(path, found))
    if left_out:
        notes = (
            *notes,
            f"{path} holds text that is too long, too much or damaged; that text is ignored",
        )
    return LoadedImage(path, image, alpha, hashlib.sha256(data).hexdigest(), notes)


def measure_image(path: Path) -> tuple[int, int]:
    """Width and height, upright, from the file's head alone. Raises InputError."""
    with _readable(path), path.open("rb") as file:
        return _decoded(path, remove_bad_text(file)[0], measure_upright)


def hash_file(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits. Raises InputError when it cannot be read."""
    return hashlib.sha256(_bytes(path)).hexdigest()


# ── the file ───────────────────────────────────────────────────────────────────────────────────


def _bytes(path: Path) -> bytes:
    with _readable(path):
        return path.read_bytes()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises InputError for what is no ordinary file, and in place of what reading raises."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would never end
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
            raise InputError(f"{path} is {kind}", "a picture's file is wanted")
        if found.st_size > MAX_BYTES:
            raise InputError(f"{path} has {found.st_size >> 20} MiB, too much for a picture")
        yield
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}", _near(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error


def _near(path: Path) -> str:
    try:
        near = get_close_matches(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return ""
    return f"did you mean {' or '.join(near)}?" if near else ""


def _decoded(path: Path, file: IO[bytes], take: Callable[[Image], T]) -> T:
    """What `take` makes of the picture in this file. Raises InputError."""
    from PIL import Image, UnidentifiedImageError  # it comes with the first picture

    logging.getLogger("PIL").addHandler(_UNSAID)
    head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in _HEIC:
        _learn_heic(path)
    file.seek(0)
    try:
        Image.init()
        formats = [name for name in FORMATS if name in Image.OPEN]
        with _no_bombs(), Image.open(file, formats=formats) as found:
            return take(found)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{path} has more than {most} million pixels", "scale it down") from error
    except UnidentifiedImageError as error:
        what = "is empty" if not head else "is not a picture, or of a format that is not read here"
        raise InputError(f"{path} {what}", "PNG, JPEG, WebP and TIFF are") from error
    except Exception as error:
        # Decoders meet broken data with every kind of error there is.
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is broken, or cut short: {said}") from error


@contextmanager
def _no_bombs() -> Iterator[None]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what metadata is broken, nobody wants to know
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _learn_heic(path: Path) -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        hint = "pip install pillow-heif, or save it as JPEG"
        raise InputError(f"{path} is HEIC, which is not read without another package", hint) from (
            error
        )
    register_heif_opener()


def _pixels(path: Path, found: Image) -> tuple[Image, Image | None, tuple[str, ...]]:
    notes, turn = _frames(path, found), read_orientation(found)
    fix_transparency(found)
    found.load()
    image, alpha = convert_to_srgb(path, found if turn is None else found.transpose(turn))
    return image, alpha, notes


def _frames(path: Path, found: Image) -> tuple[str, ...]:
    """A JPEG's second picture is its preview, and not worth a word."""
    count = getattr(found, "n_frames", 1)
    if count < 2 or found.format not in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        return ()
    frames = "pages" if found.format == "TIFF" else "frames"
    return (f"{path} has {count} {frames}: the first is taken",)
