"""RealESRGANer, mended: whole tiles or an error, even tiles, pictures of every size."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from dream.core.errors import FinishError
from dream.postprocess.basicsr_compat import RealESRGANer
from dream.postprocess.network import UpscalerNetwork

OnTile = Callable[[int, int], None]
"""Called after each tile with its number, from 1, and how many there are. May raise, to cancel."""

MIN_TILE = 32
"""Pixels. Smaller tiles would be nothing but overlap."""

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")

_BYTES = 18
"""For a pixel that comes out: three float32, and what looks through them or rounds them."""

_PRE_PAD = 10
"""Real-ESRGAN's own: mirrored pixels at the right and lower border, so that it has surroundings."""


class TiledUpscaler(RealESRGANer):  # type: ignore[misc]  # the package has no types
    """Real-ESRGAN's own helper, with these defects mended:

    - a tile that fails raises, where the original prints and keeps the former tile's pixels;
    - tiles are even, where the original leaves slivers at the right and lower border;
    - tiles overlap as far as the network reaches, so that no seam can be seen;
    - pictures of 10 pixels and fewer are mirrored until they are large enough;
    - weights come ready loaded, where the original unpickles whatever it is given;
    - nothing is printed; tensors lie channels-last, which is quicker (1.3 x measured on a CPU).
    """

    img: Any
    output: Any

    def __init__(
        self, network: UpscalerNetwork, device: torch.device, *, half: bool = False
    ) -> None:
        # Not super().__init__: it would load weights, from a path or an address, unsafely.
        self.scale = network.scale
        self.device = device
        self.half = half
        self.pre_pad = _PRE_PAD
        self.tile_size = 0
        self.tile_pad = 4 * math.ceil(
            network.receptive_field / 4
        )  # nets for x2 and x1 fold 2 and 4 pixels
        self.mod_scale = None
        dtype = torch.float16 if half else torch.float32
        self.model = network.module.to(device, dtype).to(memory_format=torch.channels_last)
        self.on_tile: OnTile = _unheard

    @torch.inference_mode()
    def upscale(self, rgb: NDArray[np.float32], tile: int, on_tile: OnTile) -> NDArray[np.float32]:
        """(h, w, 3) in 0..1 → (h * scale, w * scale, 3) in 0..1, by tiles of at most `tile`
        pixels a side without their overlap; 0 is the whole at once.

        Raises FinishError when a tile fails or the result has no room in memory, what `on_tile`
        raises, and torch's or Python's out-of-memory errors, for the caller to try smaller tiles.
        """
        self._fits(rgb)
        self.tile_size = tile and max(tile, MIN_TILE)
        self.on_tile = on_tile
        try:
            self.pre_process(rgb)
            self.tile_process()
            made = self.post_process()[0, :, : len(rgb) * self.scale, : len(rgb[0]) * self.scale]
            if not torch.isfinite(made).all():
                raise FinishError("the upscaler made numbers that are no colours", "try another")
            pixels: NDArray[np.float32] = made.float().clamp_(0, 1).permute(1, 2, 0).cpu().numpy()
            return pixels
        finally:
            self.img = self.output = None  # a large picture; and its memory may be what is short

    def _fits(self, rgb: NDArray[np.float32]) -> None:
        """A system that runs out of memory kills; it raises nothing."""
        height, width, _ = rgb.shape
        needed, free = height * width * self.scale**2 * _BYTES, psutil.virtual_memory().available
        if needed > free:
            raise FinishError(
                f"{width}x{height} pixels become {width * self.scale}x{height * self.scale} in this"
                f" upscaler: {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free",
                "begin from a smaller picture",
            )

    def pre_process(self, img: NDArray[np.float32]) -> None:
        height, width, _ = img.shape
        least = self.pre_pad + 1  # one more than what is mirrored
        grow = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
        super().pre_process(np.pad(img, grow, mode="symmetric"))
        self.img = self.img.contiguous(memory_format=torch.channels_last)

    def tile_process(self) -> None:
        _, _, height, width = self.img.shape
        step = self.mod_scale or 1
        rows, columns = (split_evenly(side, self.tile_size, step) for side in (height, width))
        tiles = list(product(pairwise(rows), pairwise(columns)))
        self.output = self.img.new_zeros((1, 3, height * self.scale, width * self.scale))
        for number, ((top, bottom), (left, right)) in enumerate(tiles, start=1):
            try:
                self._tile(top, bottom, left, right)
            except (RuntimeError, MemoryError) as error:
                if is_out_of_memory(error):
                    raise
                raise FinishError(f"tile {number} of {len(tiles)} failed: {error}") from error
            self.on_tile(number, len(tiles))

    def _tile(self, top: int, bottom: int, left: int, right: int) -> None:
        """Enlarge these pixels, together with as many around them as the network looks at."""
        pad, scale = self.tile_pad, self.scale
        upper, outer = max(top - pad, 0), max(left - pad, 0)
        made = self.model(self.img[:, :, upper : bottom + pad, outer : right + pad])
        inner_top, inner_left = (top - upper) * scale, (left - outer) * scale
        self.output[:, :, top * scale : bottom * scale, left * scale : right * scale] = made[
            :,
            :,
            inner_top : inner_top + (bottom - top) * scale,
            inner_left : inner_left + (right - left) * scale,
        ]


def split_evenly(side: int, most: int, step: int = 1) -> list[int]:
    """Where to cut `side` pixels into as few pieces as can be, none longer than `most`.

    Pieces differ by `step` at most, and all are multiples of it; `side` is one, too, and `most`
    is no less. `most` 0 is one piece.
    """
    units = side // step
    pieces = math.ceil(units / (most // step)) if most else 1
    return [units * piece // pieces * step for piece in range(pieces + 1)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch or Python say that there is no memory left. On a CPU, torch has
    only words for it."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in _NO_MEMORY)


def _unheard(number: int, count: int) -> None:
    """For an enlarger that has not begun."""
