"""Writes an image with its metadata, in any of the formats."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import IO, TYPE_CHECKING

from dream.core.errors import GalleryError
from dream.core.plain_text import remove_controls
from dream.gallery.png import PARAMETERS, RECORD, XMP_ELEMENTS, write_png
from dream.options.image_output import FORMATS, PNG

if TYPE_CHECKING:
    from PIL.Image import Image

_LONGEST_SEGMENT = 65_000
"""Bytes of EXIF, and of XMP, that fit into a JPEG."""
_USER_COMMENT, _EXIF_DIRECTORY, _VERSION = 0x9286, 0x8769, 0x9000
_LONG, _UNDEFINED = 4, 7
"""Types of EXIF's values."""
_LOSSLESS = 100


@dataclass(frozen=True)
class Encoding:
    """How an image is saved."""

    format: str = PNG
    """A key of FORMATS."""
    quality: int = 90
    """1 to 100, of the other formats than PNG; WebP is lossless at 100."""
    compression: int = 6
    """0 to 9, of PNG."""

    @property
    def ending(self) -> str:
        """Of the file's name, with its dot."""
        return FORMATS[self.format].ending


def fits(size: tuple[int, int], encoding: Encoding) -> bool:
    """Whether the format can hold an image of this size."""
    return max(size) <= FORMATS[encoding.format].longest_side


def write_image(
    image: Image, chunks: Mapping[str, str], encoding: Encoding, file: IO[bytes]
) -> None:
    """Write an RGB image. PNG has the metadata in text chunks; the others have AUTOMATIC1111's text
    in EXIF UserComment, and dream's line and record in XMP. Raises OSError, and GalleryError if
    this Pillow cannot write the format."""
    if encoding.format == PNG:
        write_png(file, image, chunks, encoding.compression)
        return
    limit = _LONGEST_SEGMENT if encoding.format == "jpeg" else 0
    settings: dict[str, object] = {"quality": encoding.quality}
    if encoding.format == "jpeg":
        # not optimized: Pillow then fails with images that are mostly noise
        settings["subsampling"] = 0 if encoding.quality >= 90 else 2
    elif encoding.format == "webp":
        settings["lossless"] = encoding.quality == _LOSSLESS
    if exif := _make_exif(chunks.get(PARAMETERS, ""), limit):
        settings["exif"] = exif
    if xmp := make_xmp(chunks, limit):
        settings["xmp"] = xmp
    encoded = io.BytesIO()  # writing to a full disk, Pillow loses the reason
    try:
        image.save(encoded, FORMATS[encoding.format].pillow, **settings)
    except KeyError as error:
        message = f"this installation of Pillow cannot write {encoding.format}"
        raise GalleryError(message, "use --format png, or reinstall Pillow") from error
    file.write(encoded.getbuffer())


def _make_exif(text: str, limit: int) -> bytes:
    """AUTOMATIC1111's text as it writes it: UTF-16, marked UNICODE. Empty if it is too long. The
    block is built here because Pillow writes UserComment as BYTE, which piexif, and so
    AUTOMATIC1111, does not read."""
    if not text:
        return b""
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    # TIFF 6.0: header; directory 0, of one entry; the Exif directory, of two; the comment.
    first, second = 8, 8 + 18
    block = b"".join(
        (
            b"Exif\0\0MM\0*" + struct.pack(">I", first),
            struct.pack(">HHHII", 1, _EXIF_DIRECTORY, _LONG, 1, second) + bytes(4),
            struct.pack(">HHHI4s", 2, _VERSION, _UNDEFINED, 4, b"0232"),
            struct.pack(">HHII", _USER_COMMENT, _UNDEFINED, len(comment), second + 30) + bytes(4),
            comment,
        )
    )
    return block if not limit or len(block) <= limit else b""


def make_xmp(chunks: Mapping[str, str], limit: int) -> bytes:
    """An XMP packet with dream's line and record. Where it would be longer than the limit (0: none)
    it lacks the request, which the line says too; if that is not enough, it is empty."""
    texts = {key: chunks[key] for key in XMP_ELEMENTS if key in chunks}
    for _ in range(2):
        packet = _format_xmp(texts)
        if not limit or len(packet) <= limit:
            return packet
        record = json.loads(texts.get(RECORD, "{}"))
        record.pop("request", None)
        texts = {RECORD: json.dumps(record)}
    return b""


def _format_xmp(texts: Mapping[str, str]) -> bytes:
    if not texts:
        return b""
    inside = "".join(
        f"<{XMP_ELEMENTS[key]}>{escape(remove_controls(text), quote=False)}</{XMP_ELEMENTS[key]}>"
        for key, text in texts.items()
    )
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dream="urn:dream-prompt:1">{inside}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )
    return packet.encode("utf-8", "replace")
