"""Runs after each denoising step of a pipeline: reports the step, and makes previews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dream.core.errors import summarize
from dream.core.events import Note, Preview
from dream.engine.interface import Progress, ProgressCallback
from dream.engine.sampling.intermediates import Intermediates
from dream.engine.sampling.preview import ThrottledPreview
from dream.engine.sampling.symmetry import Symmetry


class StepCallback:
    """A pipeline's `callback_on_step_end`: reports each step, with a preview."""

    def __init__(
        self,
        steps: int,
        dtype: torch.dtype,
        report: ProgressCallback,
        throttled: ThrottledPreview | None = None,
        symmetry: Symmetry = Symmetry(),  # noqa: B008 - frozen
        intermediates: Intermediates | None = None,
    ) -> None:
        """`steps` are those that will run; `dtype` is what the VAE decodes from."""
        self._throttled = throttled
        self._dtype = dtype
        self._steps = steps
        self._symmetry = symmetry
        self._intermediates = intermediates
        self._report = report
        self._reported = 0
        self._calls = 0

    def __call__(
        self, pipe: Any, index: int, timestep: Any, tensors: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """The latents for the next step."""
        self._calls = index + 1
        latents = tensors["latents"]
        step, is_last, adaptive = self._count(pipe, index)
        due = step > self._reported
        if due or adaptive:
            latents = self._symmetry.after_step(latents, step, self._steps)
        if due:
            self._reported = step
            preview = self._preview(pipe, latents)
            shown = self._intermediates
            image = shown.after_step(pipe, latents, step, self._steps) if shown else None
            self._report(Progress("render", step, self._steps, preview, image))
        return {"latents": latents.to(self._dtype) if is_last else latents}

    def get_share(self, pipe: Any) -> tuple[float, float]:
        """Where the current call of the denoiser is: the shares of the steps before and after it.
        For an adaptive sampler both are the share of the way that is done."""
        share = getattr(getattr(pipe, "scheduler", None), "share_done", None)
        if share is not None:
            return float(share), float(share)
        calls = getattr(pipe, "num_timesteps", self._steps)
        return min(1.0, self._calls / calls), min(1.0, (self._calls + 1) / calls)

    def _count(self, pipe: Any, index: int) -> tuple[int, bool, bool]:
        """The steps done after call `index`, whether it is the last call, and whether the sampler
        is adaptive: its steps are shares of the way, and several calls can be within one."""
        share = getattr(getattr(pipe, "scheduler", None), "share_done", None)
        if share is not None:
            return int(share * self._steps), share >= 1, True
        # Heun and other second-order samplers call twice for one step, PNDM once too often.
        calls = getattr(pipe, "num_timesteps", self._steps)
        step = min(self._steps, (index + 1) * self._steps // calls)
        return step, index + 1 == calls, False

    def _preview(self, pipe: Any, latents: torch.Tensor) -> Preview | None:
        """A preview. If one fails, it is the last; the image is still rendered."""
        if self._throttled is None:
            return None
        try:
            return self._throttled.after_step(pipe, latents)
        except Exception as error:
            self._throttled = None
            self._report(Note(text=f"previews are off for this image: {summarize(error)}"))
            return None

    def call_legacy(self, pipe: Any, index: int, timestep: Any, latents: torch.Tensor) -> None:
        """The `callback` of pipelines without `callback_on_step_end`, such as PixArt's."""
        latents.copy_(self(pipe, index, timestep, {"latents": latents})["latents"])
