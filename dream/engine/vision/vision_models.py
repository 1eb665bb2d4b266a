"""The vision models: downloaded, loaded and kept in memory when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from PIL import Image

from dream.catalogue.auxiliary import (
    CLIPSEG,
    DEPTH,
    MAP_NETWORKS,
    AuxiliaryModel,
    Downloader,
)
from dream.core.errors import FetchError, ModelError, OutOfMemory
from dream.core.events import Note
from dream.engine.interface import Progress, ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory import low_memory as memory
from dream.engine.tasks.task import TaskInputs
from dream.engine.vision.control_maps.make_map import (
    describe_empty_map,
    limit_map_size,
    make_plain_map,
)
from dream.engine.vision.depth_conditioning import get_estimator_folder, is_depth_model
from dream.inputs.masks import resize_to_cover
from dream.options.control import Control
from dream.options.text_mask import TextMask

if TYPE_CHECKING:
    from dream.engine.vision.clipseg import ClipSeg
    from dream.engine.vision.control_maps.map_network import MapNetwork
    from dream.engine.vision.depth_estimator import DepthEstimator

T = TypeVar("T")


class MaskResult(NamedTuple):
    """What a text mask names in an image."""

    mask: Image.Image
    """L: 255 where it is, 0 elsewhere."""
    heat: Image.Image
    """L: the score, from 0 to 255."""


class ControlMap(NamedTuple):
    """What a control model sees of an image."""

    image: Image.Image
    """RGB."""
    facts: dict[str, str]
    """The SHA-256 of each network that computed it, under its type; empty where none did."""


class VisionModels:
    """Computes masks, depth and control maps; the last model of each kind stays in memory."""

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader
        self._clipseg: ClipSeg | None = None
        self._estimator: DepthEstimator | None = None
        self._networks: dict[str, MapNetwork] = {}

    def compute_mask(
        self, device: str, report: ProgressCallback, image: Image.Image, text_mask: TextMask
    ) -> tuple[Image.Image, str]:
        """The mask of a text mask (L, 255 is generated), and the SHA-256 of the model that found
        it.

        Raises ModelError, FetchError, OutOfMemory.
        """
        from dream.engine.vision.clipseg import compute_mask

        vision_model = self._clipseg_of(device, report)
        return compute_mask(
            text_mask, lambda words: vision_model.score(image, words)
        ), vision_model.sha256

    def compute_mask_and_heatmap(
        self, device: str, report: ProgressCallback, image: Image.Image, text_mask: TextMask
    ) -> MaskResult:
        """The mask, and the heat map. Raises as `compute_mask`."""
        from dream.engine.vision.clipseg import compute_heatmap, compute_mask

        vision_model = self._clipseg_of(device, report)
        score = cache(lambda words: vision_model.score(image, words))
        return MaskResult(compute_mask(text_mask, score), compute_heatmap(text_mask, score))

    def add_depth(
        self, loaded: LoadedModel, inputs: TaskInputs, report: ProgressCallback
    ) -> TaskInputs:
        """The inputs with the depth of the input image, for depth models; other inputs unchanged.
        Raises as `compute_mask`."""
        if inputs.image is None or not is_depth_model(loaded):
            return inputs
        vision_model = self._estimator_of(loaded, report)
        facts = {**inputs.facts, "depth_estimator": vision_model.sha256}
        return replace(inputs, depth=vision_model.estimate(inputs.image), facts=facts)

    def make_control_map(
        self,
        device: str,
        report: ProgressCallback,
        kind: str,
        image: Image.Image,
        size: tuple[int, int],
    ) -> ControlMap:
        """The map of an RGB image for control models of a kind (a key of CONTROL_KINDS), scaled and
        cropped to `size`, width and height in pixels. The same image gives the same map.

        Raises ModelError, FetchError, OutOfMemory, SetupError.
        """
        plain = make_plain_map(kind, image, size)
        if plain is not None:
            return ControlMap(plain, {})
        from dream.engine.vision.control_maps import map_networks
        from dream.engine.vision.control_maps.segmentation import draw_areas

        fitted = resize_to_cover(image, *limit_map_size(size))
        used = [self._network_of(one, device, report) for one in MAP_NETWORKS[kind]]
        draw: dict[str, Callable[..., Image.Image]] = {
            "seg": draw_areas,
            "depth": map_networks.draw_depth,
            "normal": map_networks.draw_normals,
            "pose": map_networks.draw_poses,
        }
        return _sign(draw[kind](*used, fitted), *used)

    def close(self) -> None:
        """Unload the models."""
        self._clipseg = self._estimator = None
        self._networks.clear()

    def _clipseg_of(self, device: str, report: ProgressCallback) -> ClipSeg:
        from dream.engine.vision.clipseg import open_clipseg

        path, now = self._ensure_downloaded(CLIPSEG, report), self._clipseg
        if now is None or (now.path, now.device) != (path, device):
            self._clipseg = now = _load_or_raise(lambda: open_clipseg(path, device), path)
        return now

    def _estimator_of(self, loaded: LoadedModel, report: ProgressCallback) -> DepthEstimator:
        from dream.engine.vision.depth_estimator import open_estimator

        path, device = (
            get_estimator_folder(loaded) or self._ensure_downloaded(DEPTH, report),
            loaded.placement.device,
        )
        now = self._estimator
        if now is None or (now.path, now.device) != (path, device):
            self._estimator = now = _load_or_raise(lambda: open_estimator(path, device), path)
        return now

    def _network_of(
        self, wanted: AuxiliaryModel, device: str, report: ProgressCallback
    ) -> MapNetwork:
        from dream.engine.vision.control_maps.map_network import open_network

        try:
            path = self._ensure_downloaded(wanted, report)
        except (FetchError, ModelError) as error:
            hint = f"{error.hint}; or" if error.hint else ""
            error.hint = f"{hint} use a ready-made map with --control_raw".strip()
            raise
        now = self._networks.get(wanted.kind)
        if now is None or (now.path, now.device) != (path, device):
            now = _load_or_raise(lambda: open_network(path, device), path)
            self._networks[wanted.kind] = now
        return now

    def _ensure_downloaded(self, helper: AuxiliaryModel, report: ProgressCallback) -> Path:
        try:
            return self._downloader(
                helper,
                lambda arrived, of: report(Progress("fetch", arrived, of)),
                lambda text: report(Note(text=text)),
            )
        except FetchError as error:
            called = f"{helper.hub}, the {helper.task} model,"
            error.message = f"{called} cannot be downloaded: {error.message}"
            raise


class ControlMaps:
    """The control maps of one image."""

    def __init__(self, models: VisionModels, device: str, report: ProgressCallback) -> None:
        self._models, self._device, self._report = models, device, report
        self.networks: dict[str, str] = {}
        """The SHA-256 of the networks that computed them so far, by kind of control image."""
        self._said: set[str] = set()

    def draw(self, control: Control, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """The map of a control's image, RGB; raises as `VisionModels.make_control_map`. One that is
        empty is said once for each image, however many passes there are."""
        kind, called = control.kind, Path(control.image).name
        drawn = self._models.make_control_map(self._device, self._report, kind, image, size)
        self.networks |= drawn.facts
        said = describe_empty_map(kind, called, drawn.image)
        if said and said not in self._said:
            self._said.add(said)
            self._report(Note(text=said))
        return drawn.image


def _sign(drawn: Image.Image, *used: MapNetwork) -> ControlMap:
    return ControlMap(drawn, {network.kind: network.sha256 for network in used})


def _load_or_raise(work: Callable[[], T], path: Path) -> T:
    opened = memory.run_or_none_on_oom(work)
    if opened is None:
        raise OutOfMemory(f"not enough memory for {path}", "close other programs")
    return opened
