"""Finds objects and colours in an image from its pixels alone.

The background's colour is the median of the image's border. Objects are the connected regions that
differ from it. An object's colour is the palette colour that most of its pixels are nearest to, in
CIE Lab, where distances match perception. Its shape is read by a small classifier trained on
drawings of whole objects, which reports its own accuracy.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.palette import COLOURS, NAMES

DIFFERENT = 22.0  # Lab distance from the background at which a pixel belongs to an object
SPECK = 0.004  # a region smaller than this share of the image is ignored
VIEW = 32  # the classifier sees objects scaled to this many pixels per side


@dataclass(frozen=True)
class Region:
    """One object: its box in pixels, the share of each palette colour, and its view."""

    left: int
    top: int
    right: int
    bottom: int
    area: int
    colours: dict[str, float]
    view: np.ndarray  # (2, VIEW, VIEW): difference from the background, lightness

    @property
    def colour(self) -> str:
        return max(self.colours, key=lambda name: self.colours[name])

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Detection:
    background: str
    regions: tuple[Region, ...]  # from the largest to the smallest
    size: tuple[int, int]

    def cell(self, region: Region) -> str:
        """Which of the nine cells contains the region's centre."""
        x, y = region.middle
        column = ("left", "", "right")[min(2, int(x / self.size[0] * 3))]
        row = ("top", "", "bottom")[min(2, int(y / self.size[1] * 3))]
        return f"{row} {column}".strip() or "center"


def lab(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) sRGB 0..255 → CIE L*a*b* under D65."""
    c = np.asarray(rgb, np.float32) / 255
    linear = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
    )
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089], np.float32)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


PALETTE = lab(np.array([COLOURS[name] for name in NAMES]))  # (12, 3)


def nearest(colours: np.ndarray) -> np.ndarray:
    """(n, 3) Lab → (n,) number of the nearest palette colour."""
    numbers: np.ndarray = ((colours[:, None] - PALETTE) ** 2).sum(-1).argmin(1)
    return numbers


def analyze(image: Image.Image) -> Detection:
    colours, ground, difference = _apart(image)
    h, w = difference.shape
    regions = [
        _region(mask, colours, difference)
        for mask in components(difference > DIFFERENT, int(SPECK * h * w))
    ]
    regions.sort(key=lambda region: -region.area)
    return Detection(NAMES[int(nearest(ground[None])[0])], tuple(regions), (w, h))


def whole(image: Image.Image) -> Region:
    """Everything that differs from the background, as one object: for images known to have one."""
    colours, _, difference = _apart(image)
    return _region(difference > DIFFERENT, colours, difference)


def _apart(image: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lab colours (h, w, 3), the background's (3,), and each pixel's distance from it (h, w)."""
    colours = lab(np.asarray(image.convert("RGB")))
    h, w = colours.shape[:2]
    rim = max(3, min(h, w) // 40)
    edge = np.concatenate(
        [
            colours[:rim].reshape(-1, 3),
            colours[-rim:].reshape(-1, 3),
            colours[:, :rim].reshape(-1, 3),
            colours[:, -rim:].reshape(-1, 3),
        ]
    )
    ground = np.median(edge, 0)
    return colours, ground, np.sqrt(((colours - ground) ** 2).sum(-1))


def components(mask: np.ndarray, least: int) -> list[np.ndarray]:
    """The connected regions of at least this many pixels, found at half the resolution."""
    h, w = mask.shape
    even = mask[: h // 2 * 2, : w // 2 * 2]
    coarse = even.reshape(h // 2, 2, w // 2, 2).mean((1, 3)) >= 0.5
    label = np.where(coarse, np.arange(1, coarse.size + 1).reshape(coarse.shape), 0)
    while (
        True
    ):  # every pixel takes the largest number along its row and column, until nothing changes
        spread = _sweep(label.copy(), coarse)
        if (spread == label).all():
            break
        label = spread
    sizes = np.bincount(label.ravel())
    sizes[0] = 0
    full = np.zeros((h, w), label.dtype)
    full[: h // 2 * 2, : w // 2 * 2] = label.repeat(2, 0).repeat(2, 1)
    return [full == number for number in np.nonzero(sizes * 4 >= least)[0]]


def _sweep(label: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Carry the numbers along each row and column in both directions, for speed."""
    down, along = (label, mask), (label.T, mask.T)
    for turned, allowed in (down, _upside(*down), along, _upside(*along)):
        for i in range(1, len(turned)):
            turned[i] = (
                np.maximum(turned[i], np.where(allowed[i - 1], turned[i - 1], 0)) * allowed[i]
            )
    return label


def _upside(label: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return label[::-1], mask[::-1]


def _region(mask: np.ndarray, colours: np.ndarray, difference: np.ndarray) -> Region:
    ys, xs = np.nonzero(mask)
    left, right, top, bottom = xs.min(), xs.max(), ys.min(), ys.max()
    counts = np.bincount(nearest(colours[mask]), minlength=len(NAMES)) / len(ys)
    return Region(
        int(left),
        int(top),
        int(right),
        int(bottom),
        len(ys),
        dict(zip(NAMES, counts.tolist(), strict=True)),
        _view(
            colours,
            difference,
            (left + right) / 2,
            (top + bottom) / 2,
            max(right - left, bottom - top) * 0.58 + 2,
        ),
    )


def _view(
    colours: np.ndarray, difference: np.ndarray, x: float, y: float, half: float
) -> np.ndarray:
    """The square around an object, as the classifier sees it, in about -1..1."""
    box = (int(x - half), int(y - half), int(x + half), int(y + half))
    layers = [np.clip(difference, 0, 100), colours[..., 0]]
    scaled = [
        Image.fromarray(layer.astype(np.float32))
        .crop(box)
        .resize((VIEW, VIEW), Image.Resampling.BOX)
        for layer in layers
    ]
    return np.stack([np.asarray(layer) / 50 - 1 for layer in scaled]).astype(np.float32)
