"""A picture in memory: its pixels, the recipe that made it, and the circumstances."""

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
    """Pixels and where they come from. `image` is RGB and is never changed in place."""

    image: Image.Image
    recipe: Recipe
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the pixels depend on besides the recipe: `weights` (sha256 of the model's files),
    `ema` (only of a file's running averages), `vae` (sha256, only where it is not the model's
    own), `prediction` (what the denoiser is taken to predict), `upscaler_weights`, `init_img` and
    the others of `request.INPUTS` (sha256 of the files it began from), `device`, `precision`,
    `threads`, `processor`, `memory` (only when it was short), and the versions `dream`, `torch`,
    `diffusers`, `transformers`. Written to the PNG; compared by --verify."""

    postprocess_log: tuple[Mapping[str, object], ...] = ()
    """What was done to it, step by step, after it was rendered; each with the sha256 of the
    pixels it left. Written to the PNG."""
    source_line: str = ""
    """The line that rendered it, where that is not its own: `!fix` took it further."""

    @property
    def sha256(self) -> str:
        """Of the RGB bytes: the picture's identity, whatever the file format does to it."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()
