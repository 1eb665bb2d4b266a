"""-U: a picture enlarged by Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from PIL import Image

from dream.catalogue.cards import UpscalerCard
from dream.catalogue.fetch import Fetch, OnProgress, fetch, silent
from dream.catalogue.shelf import Shelf
from dream.errors import FinishError
from dream.finish.network import load_network
from dream.finish.pixels import Planes, blend, from_planes, settle_mode, to_planes
from dream.finish.tiles import LEAST_TILE, Enlarger, OnTile, is_out_of_memory
from dream.picture import Picture

OnNote = Callable[[str], None]
"""Told what is worth one line."""

_RESIZE = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class _Loaded:
    """A network in memory, and what file it came from."""

    path: Path
    stamp: tuple[int, int]
    """The file's time and size; another file at the same path is loaded anew."""
    sha256: str
    enlarger: Enlarger


class Upscaler:
    """Enlarges pictures, and keeps the last network in memory.

    Runs in float32 on a CPU and on Apple's GPUs, in float16 on NVIDIA's.
    """

    def __init__(self, shelf: Shelf, device: str, fetch: Fetch = fetch) -> None:
        """`fetch` brings an upscaler's file that is not on disk yet."""
        self._shelf = shelf
        self._device = torch.device(device)
        self._fetch = fetch
        self._loaded: _Loaded | None = None

    def upscale(
        self,
        picture: Picture,
        *,
        on_tile: OnTile,
        on_note: OnNote,
        on_fetch: OnProgress = silent,
    ) -> Picture:
        """The picture enlarged as its recipe says: `upscale`, `upscaler`, `upscale_tile`.

        Its sides are exactly round(side * factor). The network runs once, at its own scale (2 or
        4 times); from there to the factor asked for, up or down, is an antialiased resize, as in
        Real-ESRGAN itself. A strength below 1 blends with the resized original; at 0 no network
        is loaded at all. The facts gain `upscaler_weights`, the sha256 of the network's file.

        The callbacks may raise to cancel: `on_tile` between tiles, `on_fetch(arrived, of)` between
        chunks of a download. Raises FinishError, ModelError, FetchError.
        """
        asked, name = picture.recipe.upscale, picture.recipe.upscaler
        if asked is None or name is None:
            return picture
        plain = settle_mode(picture.image)
        size = enlarged(plain.size, asked.factor)
        resized = plain.resize(size, _RESIZE)
        if asked.strength == 0:
            return replace(picture, image=resized)
        loaded = self._load(self._shelf.upscaler(name), on_note, on_fetch)
        try:
            made = self._run(loaded.enlarger, plain, picture.recipe.upscale_tile, on_tile, on_note)
            image = blend(resized, made.resize(size, _RESIZE), asked.strength)
        except MemoryError as error:
            raise FinishError(f"there is no memory for {size[0]}x{size[1]} pixels") from error
        facts = {**picture.facts, "upscaler_weights": loaded.sha256}
        return replace(picture, image=image, facts=facts)

    def _run(
        self, enlarger: Enlarger, image: Image.Image, tile: int, on_tile: OnTile, on_note: OnNote
    ) -> Image.Image:
        """The picture at the network's scale; with smaller tiles once, if memory is short."""
        planes = to_planes(image)
        try:
            return from_planes(_enlarge(enlarger, planes, tile, on_tile), image.mode)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self._free()
        smaller = max(LEAST_TILE, min(tile or max(image.size), max(image.size)) // 2)
        on_note(f"too little memory to enlarge the picture so; trying --upscale_tile {smaller}")
        try:
            return from_planes(_enlarge(enlarger, planes, smaller, on_tile), image.mode)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise FinishError(
                f"there is no memory to enlarge {image.width}x{image.height} pixels,"
                f" even in tiles of {smaller}",
                "try a smaller --upscale_tile",
            ) from error
        finally:
            self._free()

    def _free(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _load(self, card: UpscalerCard, on_note: OnNote, on_fetch: OnProgress) -> _Loaded:
        if not card.here:
            on_note(f"fetching {card.name}{_megabytes(card.size)} from {urlsplit(card.url).netloc}")
            self._fetch(
                card.url, card.path, size=card.size, sha256=card.sha256, on_progress=on_fetch
            )
        status = card.path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        loaded = self._loaded
        if loaded is None or (loaded.path, loaded.stamp) != (card.path, stamp):
            self._loaded = None  # before the next one: never two in memory
            with card.path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            network = load_network(card.path)
            enlarger = Enlarger(network, self._device, half=self._device.type == "cuda")
            loaded = self._loaded = _Loaded(card.path, stamp, sha256, enlarger)
        return loaded


def enlarged(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Both sides times the factor, to the nearest pixel."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _enlarge(enlarger: Enlarger, planes: Planes, tile: int, on_tile: OnTile) -> Planes:
    """Colours, and then transparency where it varies, through the network."""
    if planes.alpha is None or np.ptp(planes.alpha) == 0:
        rgb = enlarger.enlarge(planes.rgb, tile, on_tile)
        return Planes(rgb, None if planes.alpha is None else np.full_like(rgb, planes.alpha.max()))
    rgb = enlarger.enlarge(planes.rgb, tile, lambda i, n: on_tile(i, 2 * n))
    alpha = enlarger.enlarge(planes.alpha, tile, lambda i, n: on_tile(n + i, 2 * n))
    return Planes(rgb, alpha)


def _megabytes(size: int) -> str:
    return f" ({size / 1e6:.1f} MB)" if size else ""
