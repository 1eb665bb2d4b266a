"""What happens after each denoising step of a pipeline: it is told, and looked at now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dream.core.events import Note, Preview
from dream.engine.interface import Progress, ProgressCallback
from dream.engine.sampling.intermediates import Intermediates
from dream.engine.sampling.preview import ThrottledPreview
from dream.engine.sampling.symmetry import Symmetry


class StepCallback:
    """A pipeline's `callback_on_step_end`: tells each step, with a look at the picture."""

    def __init__(
        self,
        steps: int,
        dtype: torch.dtype,
        tell: ProgressCallback,
        glances: ThrottledPreview | None = None,
        symmetry: Symmetry = Symmetry(),  # noqa: B008 - frozen
        intermediates: Intermediates | None = None,
    ) -> None:
        """`steps` are those that will be walked; `dtype` is what the VAE decodes from."""
        self._glances = glances
        self._dtype = dtype
        self._steps = steps
        self._symmetry = symmetry
        self._intermediates = intermediates
        self._tell = tell
        self._told = 0

    def __call__(
        self, pipe: Any, index: int, timestep: Any, tensors: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """The latents to go on with."""
        # Heun and other second-order samplers call twice for one step, PNDM once too often.
        calls = getattr(pipe, "num_timesteps", self._steps)
        step = min(self._steps, (index + 1) * self._steps // calls)
        latents = tensors["latents"]
        if step > self._told:
            self._told = step
            latents = self._symmetry.after_step(latents, step, self._steps)
            preview = self._looked_at(pipe, latents)
            shown = self._intermediates
            image = shown.after_step(pipe, latents, step, self._steps) if shown else None
            self._tell(Progress("render", step, self._steps, preview, image))
        return {"latents": latents.to(self._dtype) if index + 1 == calls else latents}

    def _looked_at(self, pipe: Any, latents: torch.Tensor) -> Preview | None:
        """A look at the picture. One that fails is the last, and the picture goes on without."""
        if self._glances is None:
            return None
        try:
            return self._glances.after_step(pipe, latents)
        except Exception as error:
            self._glances = None
            why = (str(error) or type(error).__name__).splitlines()[0]
            self._tell(Note(text=f"previews are off for this image: {why}"))
            return None

    def call_legacy(self, pipe: Any, index: int, timestep: Any, latents: torch.Tensor) -> None:
        """The `callback` of pipelines that do not have the other yet, such as PixArt's."""
        latents.copy_(self(pipe, index, timestep, {"latents": latents})["latents"])
