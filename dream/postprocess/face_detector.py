"""Finds faces with RetinaFace (Deng et al. 2019, arXiv:1905.00641), as facexlib has it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch

from dream.core.errors import ModelError
from dream.postprocess.face_alignment import Pixels, Points
from dream.postprocess.upscaler_weights import read_upscaler_weights

_SURE = 0.97
"""Of 1, as GFPGAN and CodeFormer ask for."""
_LONGEST = 1024
"""Pixels of the longer side of the copy in which faces are looked for: memory and time do not grow
with the image, and the network knows faces of up to some 500 pixels."""
_EYES = 5
"""Pixels between the eyes; smaller faces are left alone."""


class FaceDetector(Protocol):
    """Finds faces."""

    def find_faces(self, image: Pixels, /) -> list[Points]:
        """The points of each face, in pixels of the image, the surest first."""


class RetinaFaceDetector:
    """A RetinaFace network in memory, in float32."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Raises ModelError for a file that is not such a network."""
        weights = read_upscaler_weights(path)
        kind = "resnet50" if "body.conv1.weight" in weights else "mobile0.25"
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # facexlib asks torchvision in a former way
            from facexlib.detection.retinaface import RetinaFace

            self._network = RetinaFace(kind, half=False, device=torch.device("cpu"))
        try:
            floats = {name: tensor.float() for name, tensor in weights.items()}
            self._network.load_state_dict(floats, strict=True)
        except RuntimeError as error:
            detail = " ".join(str(error).split())[:200]
            raise ModelError(f"{path} is not RetinaFace: {detail}", "download it again") from error
        self._network.requires_grad_(False).eval().to(device)
        self._network.device = device
        self._network.mean_tensor = self._network.mean_tensor.to(device)

    def find_faces(self, image: Pixels) -> list[Points]:
        """See FaceDetector."""
        scale = min(1.0, _LONGEST / max(image.shape[:2]))
        size = (round(image.shape[1] * scale) or 1, round(image.shape[0] * scale) or 1)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        with torch.inference_mode():
            rows = self._network.detect_faces(np.ascontiguousarray(small[..., ::-1]), _SURE)
        ratio = np.array([image.shape[1] / size[0], image.shape[0] / size[1]])
        found = (row[5:15].reshape(5, 2).astype(np.float64) for row in rows)
        scaled = [(points + 0.5) * ratio - 0.5 for points in found]
        return [points for points in scaled if np.hypot(*(points[1] - points[0])) >= _EYES]
