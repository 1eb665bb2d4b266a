"""-G: restores the faces of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from PIL import Image

from dream.catalogue.download import Fetch, OnProgress, fetch, ignore_progress
from dream.catalogue.face_models import (
    CODEFORMER,
    FIDELITY,
    FaceModel,
    find_face_detector,
    find_face_model,
)
from dream.catalogue.registry import ModelRegistry
from dream.core.errors import FinishError
from dream.core.file_names import get_file_stamp
from dream.core.picture import Picture
from dream.postprocess.face_alignment import Pixels, Points, cut_out, estimate_alignment, put_back
from dream.postprocess.face_detector import FaceDetector, RetinaFaceDetector
from dream.postprocess.face_networks import FaceNetwork, load_face_network, restore_face
from dream.postprocess.image_arrays import blend
from dream.postprocess.tiled_upscaler import is_out_of_memory

OnNote = Callable[[str], None]
OnFace = Callable[[int, int], None]
"""Called with the number of finished faces, and of how many. May raise to cancel."""
_MOST = 50
"""Faces of an image that are restored: a crowd would take an hour."""


@dataclass(frozen=True)
class _Loaded:
    """A network in memory, with the file it is from."""

    path: Path
    stamp: object
    sha256: str
    network: FaceNetwork


class FaceRestorer:
    """Restores faces, and keeps the detector and the last network in memory."""

    def __init__(self, registry: ModelRegistry, device: str, fetch: Fetch = fetch) -> None:
        """`fetch` downloads a file that is not on disk yet."""
        self._registry, self._device, self._fetch = registry, torch.device(device), fetch
        self._loaded: _Loaded | None = None
        self._detector: tuple[object, str, FaceDetector] | None = None
        self._licences: set[str] = set()

    def restore(
        self,
        picture: Picture,
        *,
        on_face: OnFace,
        on_note: OnNote,
        on_fetch: OnProgress = ignore_progress,
    ) -> Picture:
        """Restore the faces of a picture by its recipe's `facetool_strength`, `facetool` and
        `codeformer_fidelity`. Without a face it is the same picture, and a note says so. The
        provenance gains `face_weights` and `face_detector`, the sha256 of the networks' files, and
        the number of `faces`.

        Raises FinishError, ModelError, FetchError, and what the callbacks raise.
        """
        try:
            return self._restore(picture, on_face, on_note, on_fetch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise FinishError(
                "out of memory while restoring faces", "!restart unloads the models"
            ) from error
        finally:
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _restore(
        self, picture: Picture, on_face: OnFace, on_note: OnNote, on_fetch: OnProgress
    ) -> Picture:
        recipe = picture.recipe
        if not recipe.facetool_strength or recipe.facetool is None:
            return picture
        dirs, offline = self._registry.models_dirs, self._registry.offline
        model = find_face_model(recipe.facetool, dirs, offline=offline)
        detector_model = find_face_detector(dirs, offline=offline)
        for one in (detector_model, model):
            self._download(one, on_note, on_fetch)
        if model.licence and model.name not in self._licences:
            self._licences.add(model.name)
            on_note(model.licence)
        digest, detector = self._load_detector(detector_model)
        pixels = np.asarray(picture.image.convert("RGB"))
        points = detector.find_faces(pixels)
        facts = {**picture.facts, "face_detector": digest, "faces": str(len(points[:_MOST]))}
        if not points:
            on_note("no face was found; the image is unchanged")
            return replace(picture, facts=facts)
        if len(points) > _MOST:
            on_note(f"{len(points)} faces were found; the {_MOST} surest are restored")
        loaded = self._load(model)
        fidelity, architecture = recipe.codeformer_fidelity, loaded.network.architecture
        if fidelity is not None and architecture != CODEFORMER:
            on_note(f"-cf ignored: {model.name} is {architecture}, which has no fidelity")
        restored = self._run(
            loaded.network,
            pixels,
            points[:_MOST],
            FIDELITY if fidelity is None else fidelity,
            on_face,
        )
        image = blend(picture.image, Image.fromarray(restored), recipe.facetool_strength)
        return replace(picture, image=image, facts={**facts, "face_weights": loaded.sha256})

    def _run(
        self,
        network: FaceNetwork,
        pixels: Pixels,
        faces: Sequence[Points],
        fidelity: float,
        on_face: OnFace,
    ) -> Pixels:
        """The image with all faces restored, each from the image as it was."""
        result = pixels
        network.module.to(self._device)
        for number, points in enumerate(faces, 1):
            matrix = estimate_alignment(points, network.size)
            face = torch.from_numpy(cut_out(pixels, matrix, network.size).copy())
            done = restore_face(network, face.to(self._device), fidelity)
            result = put_back(result, done.cpu().numpy(), matrix)
            on_face(number, len(faces))
        return result

    def _download(self, model: FaceModel, on_note: OnNote, on_fetch: OnProgress) -> None:
        if model.is_on_disk:
            return
        size = f" ({model.size / 1e6:.0f} MB)" if model.size else ""
        on_note(f"downloading {model.name}{size} from {urlsplit(model.url).netloc}")
        self._fetch(
            model.url, model.path, size=model.size, sha256=model.sha256, on_progress=on_fetch
        )

    def _load_detector(self, model: FaceModel) -> tuple[str, FaceDetector]:
        key = (model.path, get_file_stamp(model.path))
        if self._detector is None or self._detector[0] != key:
            detector = RetinaFaceDetector(model.path, self._device)
            self._detector = (key, _sha256(model.path), detector)
        return self._detector[1], self._detector[2]

    def _load(self, model: FaceModel) -> _Loaded:
        stamp, loaded = get_file_stamp(model.path), self._loaded
        if loaded is None or (loaded.path, loaded.stamp) != (model.path, stamp):
            self._loaded = None  # before loading the next one: never two in memory
            network = load_face_network(model.path)
            loaded = self._loaded = _Loaded(model.path, stamp, _sha256(model.path), network)
        return loaded


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
