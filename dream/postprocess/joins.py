"""The colours of newly generated pixels, matched to those of the image that they continue.

A model repaints some rows of the image itself together with the new ones. How far the two versions
of these rows are apart is what the new pixels would be off at the join. That difference is
subtracted at the join and fades out beyond it: what is common to a long stretch of the join
slowly, what belongs to single pixels within a few of them, as a membrane spanned over the join
would (Pérez et al. 2003, Poisson Image Editing).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CONTEXT = 8
"""Rows of the image that are repainted with the new ones, in pixels: one latent of most models."""


class _Level(NamedTuple):
    rows: slice
    """Rows from the join inwards, over which the difference is averaged. The row at the join is
    left to the last level: a decoder's last row is often of another colour."""
    sigma: float
    """How far along the join it is averaged, in pixels."""
    fade: int
    """Over how many pixels its correction fades out."""


_LEVELS = (
    _Level(slice(1, CONTEXT), 8.0, 32),
    _Level(slice(1, 4), 2.0, 12),
    _Level(slice(0, 1), 0.0, 4),
)
"""Each corrects what the ones before it left. The last one's fade is the shortest over which the
edge that the shipped model's decoder leaves on an image is no step."""

_DECODER_EDGE = 4
"""Pixels at a window's sides that are off in colour: measured up to 3."""
_SPOT = 4
"""How many times the median difference counts."""


def match_colours(new: Floats, known: Floats) -> Floats:
    """The new rows, corrected so that they continue the known ones.

    `fresh` is (rows, columns, 3), from 0 to 255: first as many rows as `known` has, which show
    the same place, then the new ones; the join lies between. `known` is at least one row.
    The result has the shape of `fresh`; it can leave the range.
    """
    count = len(known)
    corrected = new.copy()
    for level in _LEVELS:
        inwards = (known - corrected[:count])[::-1]
        rows = inwards[level.rows] if count > level.rows.start else inwards[-1:]
        correction = _smooth(_without_spots(rows.mean(0)), level.sigma)
        corrected += _fading(len(corrected), count, level.fade)[:, None, None] * correction
    return corrected


def hide_decoder_edge(generated: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A window's pixels, (rows, columns, 3), without the outermost ones, which a decoder, seeing
    nothing beyond them, often gives another colour: those next to them are mirrored there."""
    if min(generated.shape[:2]) <= 3 * _DECODER_EDGE:
        return generated
    inside = generated[_DECODER_EDGE:-_DECODER_EDGE, _DECODER_EDGE:-_DECODER_EDGE]
    around = (_DECODER_EDGE, _DECODER_EDGE)
    return np.pad(inside, (around, around, (0, 0)), "reflect")


def _without_spots(difference: Floats) -> Floats:
    """(columns, 3), without outliers, such as the image's corner, which would be spread over the
    new rows as a spot."""
    most = _SPOT * np.median(abs(difference), axis=0)
    return np.clip(difference, -most, most)


def _fading(length: int, count: int, fade: int) -> Floats:
    """1 up to the join, then smoothly down to 0."""
    distance = np.arange(length) - (count - 1)
    t = 1 - np.clip(distance / (fade + 1), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _smooth(values: Floats, sigma: float) -> Floats:
    """(columns, 3), each averaged with its neighbours by a normal distribution."""
    if not sigma:
        return values
    reach = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), "edge")
    columns = [np.convolve(padded[:, channel], kernel, "valid") for channel in range(3)]
    return np.stack(columns, axis=-1).astype(np.float32)
