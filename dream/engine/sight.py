"""The models that look at pictures: fetched, loaded and kept when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from PIL import Image

from dream.catalogue.helpers import CLIPSEG, DEPTH, Bring, Helper
from dream.engine import memory
from dream.engine.base import Progress, Tell
from dream.engine.depth import estimator_of, paints_by_depth
from dream.engine.pipelines import Loaded
from dream.engine.tasks.base import Given
from dream.errors import OutOfMemory
from dream.events import Note
from dream.text_mask import TextMask

if TYPE_CHECKING:
    from dream.engine.clipseg import ClipSeg
    from dream.engine.estimator import Estimator

T = TypeVar("T")


class Seen(NamedTuple):
    """What words name in a picture."""

    mask: Image.Image
    """L: 255 is it, 0 is not."""
    heat: Image.Image
    """L: how sure one is, from 0 to 255."""


class Sight:
    """Looks at pictures; the last model of each kind stays in memory."""

    def __init__(self, bring: Bring) -> None:
        self._bring = bring
        self._clipseg: ClipSeg | None = None
        self._estimator: Estimator | None = None

    def mask(
        self, device: str, tell: Tell, image: Image.Image, asked: TextMask
    ) -> tuple[Image.Image, str]:
        """The mask of what is asked for (L, 255 is painted), and the SHA-256 of what found it.

        Raises ModelError, FetchError, OutOfMemory.
        """
        from dream.engine.clipseg import mask_of

        seer = self._clipseg_of(device, tell)
        return mask_of(asked, lambda words: seer.score(image, words)), seer.sha256

    def seek(self, device: str, tell: Tell, image: Image.Image, asked: TextMask) -> Seen:
        """The same, and how sure one is of it. Raises as `mask`."""
        from dream.engine.clipseg import heat_of, mask_of

        seer = self._clipseg_of(device, tell)
        score = cache(lambda words: seer.score(image, words))
        return Seen(mask_of(asked, score), heat_of(asked, score))

    def with_depth(self, loaded: Loaded, given: Given, tell: Tell) -> Given:
        """With how far away things are in the picture that one begins from, for models that paint
        by it. Raises as `mask`."""
        if given.image is None or not paints_by_depth(loaded):
            return given
        seer = self._estimator_of(loaded, tell)
        facts = {**given.facts, "depth_estimator": seer.sha256}
        return replace(given, depth=seer.depth(given.image), facts=facts)

    def close(self) -> None:
        """Forget them."""
        self._clipseg = self._estimator = None

    def _clipseg_of(self, device: str, tell: Tell) -> ClipSeg:
        from dream.engine.clipseg import open_clipseg

        path, now = self._here(CLIPSEG, tell), self._clipseg
        if now is None or (now.path, now.device) != (path, device):
            self._clipseg = now = _in_memory(lambda: open_clipseg(path, device), path)
        return now

    def _estimator_of(self, loaded: Loaded, tell: Tell) -> Estimator:
        from dream.engine.estimator import open_estimator

        path, device = estimator_of(loaded) or self._here(DEPTH, tell), loaded.placement.device
        now = self._estimator
        if now is None or (now.path, now.device) != (path, device):
            self._estimator = now = _in_memory(lambda: open_estimator(path, device), path)
        return now

    def _here(self, helper: Helper, tell: Tell) -> Path:
        return self._bring(
            helper,
            lambda arrived, of: tell(Progress("fetch", arrived, of)),
            lambda text: tell(Note(text=text)),
        )


def _in_memory(work: Callable[[], T], path: Path) -> T:
    opened = memory.attempt(work)
    if opened is None:
        raise OutOfMemory(f"no memory for {path}", "close other programs")
    return opened
