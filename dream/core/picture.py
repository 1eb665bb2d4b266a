"""An image in memory: its pixels, its recipe, and its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dream.core.recipe import Recipe

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Picture:
    """Pixels and their provenance. `image` is RGB and is never changed in place."""

    image: Image.Image
    recipe: Recipe
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the pixels depend on besides the recipe: `weights` (sha256 of the model's files),
    `ema` (only of a file's running averages), `vae` (sha256, only where it is not the model's
    own), `text_encoder_weights` (sha256, only with --text_encoder), `prediction` (what the
    denoiser predicts), `decoder_weights` (of a small decoder), `upscaler_weights`, `init_img` and
    the others of `request.IMAGE_FILE_FIELDS` (sha256 of the input files), `device`, `precision`,
    `threads`, `processor`, `memory` (only when it was short), and the versions `dream`, `torch`,
    `diffusers`, `transformers`. Written to the PNG; compared by --verify."""

    postprocess_log: tuple[Mapping[str, object], ...] = ()
    """The postprocessing steps, each with the sha256 of the pixels after it. Written to the
    PNG."""
    source_line: str = ""
    """The line that rendered it, if another line (`!fix`) processed it since."""

    @property
    def sha256(self) -> str:
        """Of the RGB bytes: identifies the image, whatever the file format."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()
