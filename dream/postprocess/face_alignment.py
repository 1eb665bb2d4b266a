"""Cuts a face out of an image, upright and at a network's size, and puts it back.

The places of eyes, nose and mouth are those of the FFHQ data set, with which the networks were
trained. Karras et al. 2019, arXiv:1812.04948.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(5, 2) x and y in pixels: the eye at the image's left, the other eye, the nose, and both corners
of the mouth from left to right. Pixel (0, 0) has its centre at 0, 0."""
Pixels = NDArray[np.uint8]
"""(h, w, 3), RGB."""
Matrix = NDArray[np.float64]
"""(2, 3): a point of the image to one of the face."""

_TEMPLATE_SIZE = 512
_TEMPLATE = np.array(
    [
        (192.98138, 239.94708),
        (318.90277, 240.19360),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    ]
)
_MOST_SAMPLES = 8
"""Samples a side of a pixel where an image is made smaller."""
_RIM, _RAMP = 1 / 32, 1 / 8
"""Shares of a face's side: at its border nothing is pasted, and behind it this much fades in."""


def estimate_alignment(points: Points, size: int) -> Matrix:
    """The rotation, scale and shift that bring the points nearest to those of an FFHQ face of
    `size` pixels a side. Umeyama 1991, without reflection. Raises ValueError for points in one
    place."""
    target = _TEMPLATE * (size / _TEMPLATE_SIZE)
    centre, target_centre = points.mean(0), target.mean(0)
    moved, wanted = points - centre, target - target_centre
    spread = float((moved**2).sum())
    if not spread > 1e-9:
        raise ValueError("the points are in one place")
    left, values, right = np.linalg.svd(wanted.T @ moved)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    linear = rotation * (values @ signs / spread)
    return np.column_stack([linear, target_centre - linear @ centre])


def get_scale(matrix: Matrix) -> float:
    """How many pixels of the face one pixel of the image becomes."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def cut_out(image: Pixels, matrix: Matrix, size: int) -> Pixels:
    """The face, (size, size, 3). Beyond the image's border its last pixels are repeated."""
    return _warp(image, matrix, (size, size), get_scale(matrix))


def put_back(image: Pixels, face: Pixels, matrix: Matrix) -> Pixels:
    """A copy of the image with the face in its place. The edges fade; outside the face nothing is
    changed."""
    size = face.shape[0]
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    corners = np.array([(-0.5, -0.5), (size, -0.5), (-0.5, size), (size, size)])
    spots = corners @ inverse[:, :2].T + inverse[:, 2]
    height, width = image.shape[:2]
    low = np.clip(np.floor(spots.min(0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(spots.max(0)) + 1, 0, (width, height)).astype(int)
    box = (int(high[0] - low[0]), int(high[1] - low[1]))
    if min(box) <= 0:
        return image.copy()
    inverse[:, 2] -= low
    scale = 1 / get_scale(matrix)
    layer = _warp(face, inverse, box, scale).astype(np.float32)
    weight = _warp_mask(_make_mask(size), inverse, box, scale)[..., None]
    result = image.copy()
    place = result[low[1] : high[1], low[0] : high[0]]
    place[...] = np.rint(place + weight * (layer - place)).astype(np.uint8)
    return result


def _make_mask(size: int) -> NDArray[np.float32]:
    """1 inside, 0 at the border, smooth between both."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1]) / size
    ramp = np.clip((distance - _RIM) / _RAMP, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return np.outer(ramp, ramp).astype(np.float32)


def _warp(image: Pixels, matrix: Matrix, box: tuple[int, int], scale: float) -> Pixels:
    many, larger = _supersample(matrix, scale)
    full: Pixels = cv2.warpAffine(
        image,
        larger,
        (box[0] * many, box[1] * many),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if many > 1:
        full = cv2.resize(full, box, interpolation=cv2.INTER_AREA)
    return full


def _warp_mask(
    mask: NDArray[np.float32], matrix: Matrix, box: tuple[int, int], scale: float
) -> NDArray[np.float32]:
    many, larger = _supersample(matrix, scale)
    full: NDArray[np.float32] = cv2.warpAffine(
        mask, larger, (box[0] * many, box[1] * many), borderMode=cv2.BORDER_CONSTANT
    )
    if many > 1:
        full = cv2.resize(full, box, interpolation=cv2.INTER_AREA)
    return full


def _supersample(matrix: Matrix, scale: float) -> tuple[int, Matrix]:
    """How many samples a side each pixel needs, and the matrix that makes them: an image made
    smaller with one would flicker."""
    many = min(_MOST_SAMPLES, max(1, math.ceil(1 / scale - 0.01)))
    larger = matrix * many
    larger[:, 2] += (many - 1) / 2
    return many, larger
