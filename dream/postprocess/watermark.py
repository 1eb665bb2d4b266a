"""--watermark: embeds an invisible text in an image that survives JPEG compression.

The method is `dwtDct` of the package invisible-watermark, which CompVis' scripts used: in the
colour plane U, halved in size by a Haar wavelet, the largest value of each 4x4 block encodes a bit
by the half of 36 levels that it is in. The package's decoder can read these images. Its encoder is
not used: it changes one value of a block, which a small image loses in a JPEG, and it clips strong
reds. Here the whole block is changed, as little as JPEG allows.

The data is the text in UTF-8 and two bytes of CRC, repeated.
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
"""Side in pixels of a block that encodes one bit."""
COMPVIS = b"StableDiffusionV1"
"""The watermark of CompVis' scripts, which has no CRC."""

_Y = np.array([0.299, 0.587, 0.114], np.float32)
_U_TO_RGB = np.array([0, -0.395, 2.032], np.float32)
_STRENGTHS = ((4.0, 2.0), (2.0, 3.0), (0.0, 3.0), (0.0, 5.0))
"""Slack and bias to try, the weakest change first. Slack: how far from its target a value may stay;
more slack changes less. Bias: how far the target is below the middle of its half, since JPEG noise
only raises the largest value of a block."""
_JPEG_QUALITY = 85
"""JPEG quality that a watermark must survive here: lower than the promised 90, for safety."""


def embed_watermark(image: Image.Image, text: str) -> Image.Image:
    """Embed a text in an image, as RGB; it can be read after JPEG compression at quality 90.

    The change is as small as possible. Raises FinishError if the image is too small for the text,
    or too noisy.
    """
    if len(text.encode()) > watermark_capacity(image.size):
        raise FinishError(
            f"a watermark of {len(text.encode())} bytes does not fit into"
            f" {image.width}x{image.height} pixels",
            f"use at most {watermark_capacity(image.size)} bytes",
        )
    rgb = np.asarray(image.convert("RGB"))
    bits = _to_bits(text.encode())
    for slack, bias in _STRENGTHS:
        marked = Image.fromarray(_embed_bits(rgb, bits, slack, bias))
        if extract_watermark(marked) == extract_watermark(_as_jpeg(marked)) == text:
            return marked
    raise FinishError("the image is too noisy for this watermark", "use a shorter text")


def extract_watermark(image: Image.Image) -> str | None:
    """The text embedded in an image, or None."""
    peaks = _block_peaks(np.asarray(image.convert("RGB"))).ravel()
    # From -1, certainly 0, to 1, certainly 1; in the middle of a half it is most certain.
    scores = -np.sin(peaks * (2 * np.pi / LEVELS))
    for size in range(1, MAX_WATERMARK_BYTES + 1):
        data = _vote(scores, size + CRC_BYTES)
        if data == _with_crc(data[:-CRC_BYTES]) and (text := _decode_text(data[:-CRC_BYTES])):
            return text
    compvis = _vote(np.sign(scores), len(COMPVIS))
    return COMPVIS.decode() if compvis == COMPVIS else None


def _embed_bits(rgb: NDArray[np.uint8], bits: Bits, slack: float, bias: float) -> NDArray[np.uint8]:
    """Change each block so that its largest value is in the half that encodes its bit."""
    peaks = _block_peaks(rgb)
    wanted = np.resize(bits, peaks.size).reshape(peaks.shape)
    aim = (wanted * 2 + 1) * (LEVELS / 4) - bias
    off = _level_difference(aim, peaks)
    nearest = np.where(np.abs(off) > slack, off - np.sign(off) * slack, 0)
    # If that direction leaves the RGB range, use the other one.
    other = nearest - np.sign(off + (off == 0)) * LEVELS + 2 * np.sign(off) * slack
    ways = [_shift_u(rgb, peaks + way, way) for way in (nearest, other)]
    misses = [np.abs(_level_difference(aim, _block_peaks(way))) for way in ways]
    turned = misses[1] + 2 < np.maximum(misses[0], slack)
    return np.where(_expand_blocks(turned, rgb.shape)[..., None], ways[1], ways[0])


def _shift_u(rgb: NDArray[np.uint8], wanted: Floats, by: Floats) -> NDArray[np.uint8]:
    """Raise U by `by` in each block, and correct for rounding."""
    for _ in range(2):
        change = _expand_blocks(by / 2, rgb.shape)[..., None] * _U_TO_RGB
        changed = np.clip(np.rint(rgb + change), 0, 255).astype(np.uint8)
        by = by + (wanted - _block_peaks(changed))
    return changed


def _block_peaks(rgb: NDArray[np.uint8]) -> Floats:
    """(h, w, 3) → (h / 8, w / 8): the largest value of each block except its first, as in the
    package. Remaining rows and columns are ignored."""
    height, width = (side // SIDE * SIDE for side in rgb.shape[:2])
    planes = rgb[:height, :width].astype(np.float32)
    u = np.clip(np.rint(0.492 * (planes[..., 2] - planes @ _Y) + 128), 0, 255)
    averages = u.reshape(height // 2, 2, width // 2, 2).sum((1, 3)) / 2
    rows, columns = height // SIDE, width // SIDE
    blocks = averages.reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(rows, columns, 16)
    peaks: Floats = blocks[..., 1:].max(-1, initial=0)
    return peaks


def _expand_blocks(blocks: NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    """Expand a value for each block to each of its pixels; 0 for the remaining pixels."""
    full = np.zeros(shape[:2], np.float32)
    rows, columns = (count * SIDE for count in blocks.shape)
    full[:rows, :columns] = blocks.repeat(SIDE, 0).repeat(SIDE, 1)
    return full


def _level_difference(wanted: Floats, peaks: Floats) -> Floats:
    """The smallest difference from a value to the wanted one, modulo LEVELS."""
    difference: Floats = (wanted - peaks + LEVELS / 2) % LEVELS - LEVELS / 2
    return difference


def _with_crc(data: bytes) -> bytes:
    return data + crc_hqx(data, 0xFFFF).to_bytes(CRC_BYTES, "big")


def _to_bits(data: bytes) -> Bits:
    return np.unpackbits(np.frombuffer(_with_crc(data), np.uint8))


def _vote(scores: Floats, size: int) -> bytes:
    """Decode `size` bytes by a vote over all their repetitions."""
    count = size * 8
    sums = np.bincount(np.arange(scores.size) % count, scores, count)
    return np.packbits(sums > 0).tobytes()


def _decode_text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""


def _as_jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return Image.open(file)
