"""The models that look at pictures: fetched, loaded and kept when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from PIL import Image

from dream.catalogue.auxiliary import CLIPSEG, DEPTH, AuxiliaryModel, Downloader
from dream.core.errors import OutOfMemory
from dream.core.events import Note
from dream.engine.interface import Progress, ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory import low_memory as memory
from dream.engine.tasks.task import TaskInputs
from dream.engine.vision.depth_conditioning import get_estimator_folder, is_depth_model
from dream.options.text_mask import TextMask

if TYPE_CHECKING:
    from dream.engine.vision.clipseg import ClipSeg
    from dream.engine.vision.depth_estimator import DepthEstimator

T = TypeVar("T")


class MaskResult(NamedTuple):
    """What words name in a picture."""

    mask: Image.Image
    """L: 255 is it, 0 is not."""
    heat: Image.Image
    """L: how sure one is, from 0 to 255."""


class VisionModels:
    """Looks at pictures; the last model of each kind stays in memory."""

    def __init__(self, bring: Downloader) -> None:
        self._bring = bring
        self._clipseg: ClipSeg | None = None
        self._estimator: DepthEstimator | None = None

    def compute_mask(
        self, device: str, tell: ProgressCallback, image: Image.Image, asked: TextMask
    ) -> tuple[Image.Image, str]:
        """The mask of what is asked for (L, 255 is painted), and the SHA-256 of what found it.

        Raises ModelError, FetchError, OutOfMemory.
        """
        from dream.engine.vision.clipseg import compute_mask

        seer = self._clipseg_of(device, tell)
        return compute_mask(asked, lambda words: seer.score(image, words)), seer.sha256

    def compute_mask_and_heatmap(
        self, device: str, tell: ProgressCallback, image: Image.Image, asked: TextMask
    ) -> MaskResult:
        """The same, and how sure one is of it. Raises as `mask`."""
        from dream.engine.vision.clipseg import compute_heatmap, compute_mask

        seer = self._clipseg_of(device, tell)
        score = cache(lambda words: seer.score(image, words))
        return MaskResult(compute_mask(asked, score), compute_heatmap(asked, score))

    def add_depth(
        self, loaded: LoadedModel, given: TaskInputs, tell: ProgressCallback
    ) -> TaskInputs:
        """With how far away things are in the picture that one begins from, for models that paint
        by it. Raises as `mask`."""
        if given.image is None or not is_depth_model(loaded):
            return given
        seer = self._estimator_of(loaded, tell)
        facts = {**given.facts, "depth_estimator": seer.sha256}
        return replace(given, depth=seer.estimate(given.image), facts=facts)

    def close(self) -> None:
        """Forget them."""
        self._clipseg = self._estimator = None

    def _clipseg_of(self, device: str, tell: ProgressCallback) -> ClipSeg:
        from dream.engine.vision.clipseg import open_clipseg

        path, now = self._here(CLIPSEG, tell), self._clipseg
        if now is None or (now.path, now.device) != (path, device):
            self._clipseg = now = _in_memory(lambda: open_clipseg(path, device), path)
        return now

    def _estimator_of(self, loaded: LoadedModel, tell: ProgressCallback) -> DepthEstimator:
        from dream.engine.vision.depth_estimator import open_estimator

        path, device = (
            get_estimator_folder(loaded) or self._here(DEPTH, tell),
            loaded.placement.device,
        )
        now = self._estimator
        if now is None or (now.path, now.device) != (path, device):
            self._estimator = now = _in_memory(lambda: open_estimator(path, device), path)
        return now

    def _here(self, helper: AuxiliaryModel, tell: ProgressCallback) -> Path:
        return self._bring(
            helper,
            lambda arrived, of: tell(Progress("fetch", arrived, of)),
            lambda text: tell(Note(text=text)),
        )


def _in_memory(work: Callable[[], T], path: Path) -> T:
    opened = memory.run_or_none_on_oom(work)
    if opened is None:
        raise OutOfMemory(f"not enough memory for {path}", "close other programs")
    return opened
