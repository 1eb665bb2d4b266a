"""-U: upscales an image with a network, such as Real-ESRGAN's (Wang et al. 2021, arXiv:2107.10833),
or with a diffusion upscaler, which the engine provides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
import torch
from PIL import Image

from dream.catalogue.download import Fetch, OnProgress, fetch, ignore_progress
from dream.catalogue.hub import HubId, download
from dream.catalogue.model_info import UpscalerInfo
from dream.catalogue.registry import ModelRegistry
from dream.core.errors import FinishError
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import scale_size
from dream.options.engine_table import BFLOAT16
from dream.postprocess.image_arrays import (
    Floats,
    ImageArrays,
    blend,
    from_arrays,
    normalize_mode,
    to_arrays,
)
from dream.postprocess.network import load_network
from dream.postprocess.tiled_upscaler import MIN_TILE, OnTile, TiledUpscaler, is_out_of_memory

OnNote = Callable[[str], None]
"""Called with a one-line message."""

_RESIZE = Image.Resampling.LANCZOS


class UpscalerBackend(Protocol):
    """An upscaler in memory."""

    @property
    def sha256(self) -> str:
        """Hash of its weights, 64 hex digits."""

    def upscale(self, rgb: Floats, tile: int, on_tile: OnTile, /) -> Floats:
        """See `TiledUpscaler.upscale`."""


OpenDiffusion = Callable[[UpscalerInfo, Recipe], UpscalerBackend]
"""Opens a diffusion upscaler for a recipe, whose prompt and seed it uses."""


def refuse_diffusion(info: UpscalerInfo, recipe: Recipe) -> UpscalerBackend:
    """An OpenDiffusion that always raises FinishError."""
    raise FinishError(
        f"{info.name} is a diffusion upscaler, which is not supported here",
        "choose another upscaler",
    )


UseEngine = Callable[[torch.nn.Module, UpscalerInfo, str], AbstractContextManager[None]]
"""While an engine besides torch computes a network; its file, and the SHA-256 of that."""


def use_torch(
    network: torch.nn.Module, info: UpscalerInfo, sha256: str
) -> AbstractContextManager[None]:
    """A UseEngine that changes nothing."""
    return nullcontext()


@dataclass(frozen=True)
class _Loaded:
    """A network in memory, and the file it was loaded from."""

    path: Path
    stamp: tuple[int, int]
    """The file's time and size; a changed file is loaded again."""
    sha256: str
    backend: TiledUpscaler
    precision: str | None
    """As in a recipe's `upscale_precision`."""

    def upscale(self, rgb: Floats, tile: int, on_tile: OnTile) -> Floats:
        """See `TiledUpscaler.upscale`."""
        return self.backend.upscale(rgb, tile, on_tile)


class Upscaler:
    """Upscales images, and keeps the last network in memory.

    Networks run in float32 on a CPU and on Apple's GPUs, on NVIDIA's in float16 if supported; a
    recipe can choose bfloat16.
    """

    def __init__(self, registry: ModelRegistry, device: str, fetch: Fetch = fetch) -> None:
        """`fetch` downloads an upscaler's file that is not on disk yet."""
        self._registry = registry
        self._device = torch.device(device)
        self._fetch = fetch
        self._loaded: _Loaded | None = None

    def upscale(
        self,
        picture: Picture,
        *,
        on_tile: OnTile,
        on_note: OnNote,
        on_fetch: OnProgress = ignore_progress,
        diffusion: OpenDiffusion = refuse_diffusion,
        use_engine: UseEngine = use_torch,
    ) -> Picture:
        """Upscale a picture by its recipe's `upscale`, `upscaler` and `upscale_tile`. `diffusion`
        opens diffusion upscalers; other networks run within `use_engine`.

        The sides become exactly round(side * factor). The network runs once, at its own scale (1 to
        16 times); the rest, up or down, is an antialiased resize, as in Real-ESRGAN itself. A
        strength below 1 blends with the resized original; at 0 no network is loaded. The provenance
        gains `upscaler_weights`, the sha256 of the network's file. If memory is too short for
        `upscale_tile`, the returned recipe has the smaller tile that was used.

        The callbacks may raise to cancel: `on_tile` between tiles, `on_fetch(arrived, of)` between
        chunks of a download. Raises FinishError, ModelError, FetchError.
        """
        try:
            return self._upscale(picture, on_tile, on_note, on_fetch, diffusion, use_engine)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise FinishError(
                f"out of memory while upscaling {picture.image.width}x{picture.image.height}"
                " pixels",
                "use a smaller -U or --upscale_tile",
            ) from error
        finally:
            self._free_cache()

    def _upscale(
        self,
        picture: Picture,
        on_tile: OnTile,
        on_note: OnNote,
        on_fetch: OnProgress,
        diffusion: OpenDiffusion,
        use_engine: UseEngine,
    ) -> Picture:
        recipe, plain = picture.recipe, normalize_mode(picture.image)
        if recipe.upscale is None or recipe.upscaler is None:
            return picture
        size = scale_size(plain.size, recipe.upscale.factor)
        resized = plain.resize(size, _RESIZE)
        if recipe.upscale.strength == 0:
            return replace(picture, image=resized)
        info = self._registry.get_upscaler(recipe.upscaler)
        if not info.is_on_disk:
            self._download(info, on_note, on_fetch)
        network, engine = self._open(info, recipe, diffusion, use_engine)
        with engine:
            upscaled, tile = self._run(network, plain, recipe.upscale_tile, on_tile, on_note)
        return replace(
            picture,
            image=blend(resized, upscaled.resize(size, _RESIZE), recipe.upscale.strength),
            recipe=replace(recipe, upscale_tile=tile),
            facts={**picture.facts, "upscaler_weights": network.sha256},
        )

    def _open(
        self, info: UpscalerInfo, recipe: Recipe, diffusion: OpenDiffusion, use_engine: UseEngine
    ) -> tuple[UpscalerBackend, AbstractContextManager[None]]:
        if info.diffusion:
            return diffusion(info, recipe), nullcontext()
        loaded = self._load(info, recipe.upscale_precision)
        identity = " ".join(filter(None, (loaded.sha256, loaded.precision)))
        return loaded, use_engine(loaded.backend.model, info, identity)

    def _run(
        self,
        backend: UpscalerBackend,
        image: Image.Image,
        tile: int,
        on_tile: OnTile,
        on_note: OnNote,
    ) -> tuple[Image.Image, int]:
        """The image at the network's scale, and the tile size that was used: `tile`, or a smaller
        one if memory ran out."""
        arrays = to_arrays(image)
        try:
            return from_arrays(_upscale_arrays(backend, arrays, tile, on_tile), image.mode), tile
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self._free_cache()  # only here, after the error and its references are gone
        side = max(image.size)
        smaller = max(MIN_TILE, min(tile or side, side) // 2)
        on_note(f"out of memory while upscaling; retrying with --upscale_tile {smaller}")
        return from_arrays(_upscale_arrays(backend, arrays, smaller, on_tile), image.mode), smaller

    def _free_cache(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _download(self, info: UpscalerInfo, on_note: OnNote, on_fetch: OnProgress) -> None:
        if info.diffusion:
            mirror = self._registry.hub_mirror
            download(HubId(info.url), info.path, on_fetch, on_note, mirror=mirror)
            return
        on_note(
            f"downloading {info.name}{_format_size(info.size)} from {urlsplit(info.url).netloc}"
        )
        self._fetch(info.url, info.path, size=info.size, sha256=info.sha256, on_progress=on_fetch)

    def _load(self, info: UpscalerInfo, precision: str | None) -> _Loaded:
        status = info.path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        loaded = self._loaded
        known = loaded and (loaded.path, loaded.stamp, loaded.precision)
        if loaded is None or known != (info.path, stamp, precision):
            self._loaded = None  # before loading the next one: never two in memory
            network, sha256 = load_network(info.path), _sha256(info.path)
            half = network.half and self._device.type == "cuda" and precision is None
            if (bfloat16 := precision == BFLOAT16) and not network.bfloat16:
                raise FinishError(
                    f"{info.name} does not support --upscale_precision {BFLOAT16}", "remove it"
                )
            backend = TiledUpscaler(network, self._device, half=half, bfloat16=bfloat16)
            loaded = self._loaded = _Loaded(info.path, stamp, sha256, backend, precision)
        return loaded


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _upscale_arrays(
    backend: UpscalerBackend, arrays: ImageArrays, tile: int, on_tile: OnTile
) -> ImageArrays:
    """Upscale the colours, and the alpha channel if it is not constant."""
    if arrays.alpha is None or np.ptp(arrays.alpha) == 0:
        rgb = backend.upscale(arrays.rgb, tile, on_tile)
        return ImageArrays(
            rgb, None if arrays.alpha is None else np.full_like(rgb, arrays.alpha.max())
        )
    rgb = backend.upscale(arrays.rgb, tile, lambda i, n: on_tile(i, 2 * n))
    alpha = backend.upscale(arrays.alpha, tile, lambda i, n: on_tile(n + i, 2 * n))
    return ImageArrays(rgb, alpha)


def _format_size(size: int) -> str:
    return f" ({size / 1e6:.1f} MB)" if size else ""
