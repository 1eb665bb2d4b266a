"""A control of one image: its settings, its image and its model, ready for every pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from dream.catalogue.control_info import ControlInfo
from dream.engine.loading.file_signature import FileStamps
from dream.engine.loading.recorded_digests import read_digest, record_digests
from dream.inputs import resize_to_cover
from dream.options.control import Control


@dataclass(frozen=True)
class LoadedControl:
    """A control model in memory."""

    info: ControlInfo
    model: Any
    """A ControlNet or T2I-Adapter of diffusers."""
    digest: Future[str]
    """SHA-256 of its weights, computed beside the first image."""
    key: tuple[object, ...]
    """What it was loaded from, and for which device."""
    file_signature: FileStamps


class ControlImage(NamedTuple):
    """A control image as its file has it."""

    image: Image.Image
    """RGB, of any size."""
    sha256: str


StepShare = Callable[[], tuple[float, float]]
"""Where the current call of the denoiser is: the shares of the steps before and after it, each 0 to
1."""

MakeMap = Callable[[Control, Image.Image, tuple[int, int]], Image.Image]
"""Computes what a control shows (edges, depth …) from its image, RGB, at a size of (width, height)
pixels."""


@dataclass(frozen=True)
class ActiveControl:
    """A control of one image."""

    control: Control
    source: ControlImage
    loaded: LoadedControl
    make_map: MakeMap | None = None
    """None uses the image as it is."""

    def draw(self, size: tuple[int, int]) -> Image.Image:
        """What the model sees, RGB, of the size of a pass (width, height)."""
        image = self.source.image
        if self.make_map is not None:
            image = self.make_map(self.control, image, size)
        return resize_to_cover(image, *size)

    def is_active(self, begin: float, end: float) -> bool:
        """Whether it is used in a step from one share of the steps to another, each 0 to 1: the
        step must be inside its own part as a whole, as in diffusers' pipelines."""
        return self.control.start <= begin and end <= self.control.end


def sort_controls(controls: Sequence[ActiveControl]) -> list[ActiveControl]:
    """Those with an effect, in an order that does not depend on the line's: their contributions are
    added in floating point, where the order changes low bits."""
    return sorted(
        (active for active in controls if active.control.weight),
        key=lambda active: (
            active.control.kind,
            active.source.sha256,
            active.loaded.info.name,
            active.control[2:],
        ),
    )


def make_pixels(image: Image.Image, channels: int) -> torch.Tensor:
    """The image as (1, channels, h, w) in float32, from 0 to 1; channels: 3, or 1 for gray."""
    values = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / 255.0
    if channels == 1:
        values = values[..., None]
    return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())


def collect_control_facts(
    controls: Sequence[ActiveControl], networks: Mapping[str, str]
) -> dict[str, str]:
    """What an image records about its control models: the beginnings of their SHA-256, in the
    line's order, and all of each by name; and the same about the networks that computed the control
    maps, by kind of control image."""
    models = [(one.loaded.info.name, read_digest(one.loaded.digest)) for one in controls]
    maps = list(networks.items())
    return record_digests("control_model", models) | record_digests("control_map", maps)
