"""--watermark: words in a picture that eyes do not see and a JPEG does not lose.

The method is `dwtDct` of the package invisible-watermark, which CompVis' scripts marked their
pictures with: in the colour plane U, halved in size by a Haar wavelet, the largest value of each
4x4 block says a bit by the half of 36 levels that it falls in. The package's decoder reads these
pictures. Its encoder is not used: it moves one value a block, which no small picture keeps through
a JPEG, and it cuts off strong reds. Here the whole block moves, as little as a JPEG allows.

What is written is the text in UTF-8 and two bytes of CRC, over and over.
"""

from __future__ import annotations

from binascii import crc_hqx
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.core.errors import FinishError
from dream.core.stages import CRC_BYTES, watermark_capacity
from dream.options.outpaint import MAX_WATERMARK_BYTES

Floats = NDArray[np.float32]
Bits = NDArray[np.uint8]

LEVELS = 36
"""Levels of U's averages (each four pixels, doubled) after which the bits repeat."""
SIDE = 8
"""Pixels of a block that carries a bit."""
COMPVIS = b"StableDiffusionV1"
"""What CompVis' scripts wrote, without any check."""

_Y = np.array([0.299, 0.587, 0.114], np.float32)
_U_TO_RGB = np.array([0, -0.395, 2.032], np.float32)
_WAYS = ((4.0, 2.0), (2.0, 3.0), (0.0, 3.0), (0.0, 5.0))
"""Slack and bias, the gentlest first. How far from its aim a value may stay: the further, the less
is changed. And how far below the middle of its half the aim is, for a JPEG's ripples only add to
the largest value of a block."""
_QUALITY = 85
"""Of the JPEG that a mark must outlive: somewhat worse than what is promised, which is 90."""


def embed_watermark(image: Image.Image, text: str) -> Image.Image:
    """An RGB picture with the text in it, which a JPEG of quality 90 still tells.

    The least change that does it is made. Raises FinishError where the picture has no room for so
    long a text, or too much grain.
    """
    if len(text.encode()) > watermark_capacity(image.size):
        raise FinishError(
            f"a watermark of {len(text.encode())} bytes does not fit into"
            f" {image.width}x{image.height} pixels",
            f"{watermark_capacity(image.size)} bytes do",
        )
    rgb = np.asarray(image.convert("RGB"))
    bits = _bits(text.encode())
    for slack, bias in _WAYS:
        marked = Image.fromarray(_moved(rgb, bits, slack, bias))
        if extract_watermark(marked) == extract_watermark(_as_jpeg(marked)) == text:
            return marked
    raise FinishError(
        "this picture has too much grain to carry that watermark", "try a shorter text"
    )


def extract_watermark(image: Image.Image) -> str | None:
    """The text in a picture; None where there is none."""
    peaks = _peaks(np.asarray(image.convert("RGB"))).ravel()
    # From -1, surely a 0, to 1, surely a 1: in the middle of the halves they are surest.
    scores = -np.sin(peaks * (2 * np.pi / LEVELS))
    for size in range(1, MAX_WATERMARK_BYTES + 1):
        data = _folded(scores, size + CRC_BYTES)
        if data == _checked(data[:-CRC_BYTES]) and (text := _as_text(data[:-CRC_BYTES])):
            return text
    known = _folded(np.sign(scores), len(COMPVIS))
    return COMPVIS.decode() if known == COMPVIS else None


def _moved(rgb: NDArray[np.uint8], bits: Bits, slack: float, bias: float) -> NDArray[np.uint8]:
    """The pixels with each block's largest value in the half that its bit wants."""
    peaks = _peaks(rgb)
    wanted = np.resize(bits, peaks.size).reshape(peaks.shape)
    aim = (wanted * 2 + 1) * (LEVELS / 4) - bias
    off = _apart(aim, peaks)
    nearest = np.where(np.abs(off) > slack, off - np.sign(off) * slack, 0)
    # Where that way leads out of what RGB can show, the other way round is free.
    other = nearest - np.sign(off + (off == 0)) * LEVELS + 2 * np.sign(off) * slack
    ways = [_shifted(rgb, peaks + way, way) for way in (nearest, other)]
    misses = [np.abs(_apart(aim, _peaks(way))) for way in ways]
    turned = misses[1] + 2 < np.maximum(misses[0], slack)
    return np.where(_spread(turned, rgb.shape)[..., None], ways[1], ways[0])


def _shifted(rgb: NDArray[np.uint8], wanted: Floats, by: Floats) -> NDArray[np.uint8]:
    """The pixels with U so much higher in each block, and what rounding took put back."""
    for _ in range(2):
        change = _spread(by / 2, rgb.shape)[..., None] * _U_TO_RGB
        made = np.clip(np.rint(rgb + change), 0, 255).astype(np.uint8)
        by = by + (wanted - _peaks(made))
    return made


def _peaks(rgb: NDArray[np.uint8]) -> Floats:
    """(h, w, 3) → (h / 8, w / 8): the largest value of each block, but for its first, as the
    package looks for it. Rows and columns over are left out."""
    height, width = (side // SIDE * SIDE for side in rgb.shape[:2])
    planes = rgb[:height, :width].astype(np.float32)
    u = np.clip(np.rint(0.492 * (planes[..., 2] - planes @ _Y) + 128), 0, 255)
    averages = u.reshape(height // 2, 2, width // 2, 2).sum((1, 3)) / 2
    rows, columns = height // SIDE, width // SIDE
    blocks = averages.reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(rows, columns, 16)
    peaks: Floats = blocks[..., 1:].max(-1, initial=0)
    return peaks


def _spread(blocks: NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    """A value for each block, as one for each pixel; 0 for the pixels over."""
    full = np.zeros(shape[:2], np.float32)
    rows, columns = (count * SIDE for count in blocks.shape)
    full[:rows, :columns] = blocks.repeat(SIDE, 0).repeat(SIDE, 1)
    return full


def _apart(wanted: Floats, peaks: Floats) -> Floats:
    """The shortest way from a value to the next that means the same as the wanted one."""
    way: Floats = (wanted - peaks + LEVELS / 2) % LEVELS - LEVELS / 2
    return way


def _checked(data: bytes) -> bytes:
    return data + crc_hqx(data, 0xFFFF).to_bytes(CRC_BYTES, "big")


def _bits(data: bytes) -> Bits:
    return np.unpackbits(np.frombuffer(_checked(data), np.uint8))


def _folded(scores: Floats, size: int) -> bytes:
    """So many bytes, by what all their repetitions say together."""
    count = size * 8
    sums = np.bincount(np.arange(scores.size) % count, scores, count)
    return np.packbits(sums > 0).tobytes()


def _as_text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""


def _as_jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return Image.open(file)
