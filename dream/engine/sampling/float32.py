"""Schedulers of diffusers that keep latents in float32, and whose prediction can be read and
clamped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

import diffusers
import torch

Start = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From an image's clean latents (1, C, h, w) to the latents that the run starts from and the noise
that is added to them, both float32."""


@dataclass(frozen=True)
class Point:
    """Where a sampler is, in the variance-preserving form."""

    x: torch.Tensor
    """(1, C, h, w): what the network saw, in float32."""
    output: torch.Tensor
    """What the network predicted, in float32."""
    says: str
    """What that is: the noise, the "v_prediction" or the clean "sample"."""
    signal: torch.Tensor
    noise: torch.Tensor
    """The factors of image and noise in x: √ᾱ and √(1−ᾱ)."""

    @staticmethod
    def of(scheduler: Any, x: torch.Tensor, output: torch.Tensor, timestep: Any) -> Point:
        # Sigmas between the training steps (Karras') have timesteps between whole numbers.
        alpha: torch.Tensor = scheduler.alphas_cumprod[round(float(timestep))]
        signal = alpha.to(x.device, torch.float32).sqrt().clamp(min=1e-4)
        noise = (1 - signal**2).sqrt().clamp(min=1e-4)
        says = scheduler.config.prediction_type
        return Point(x.float(), output.float(), says, signal, noise)

    @property
    def clean(self) -> torch.Tensor:
        """The clean latents that this predicts."""
        match self.says:
            case "v_prediction":
                return self.signal * self.x - self.noise * self.output
            case "sample":
                return self.output
            case _:
                return (self.x - self.noise * self.output) / self.signal

    def within(self, threshold: float) -> torch.Tensor:
        """The output, as if the clean latents were within ±threshold: the static thresholding of
        Saharia et al. 2022, arXiv:2205.11487, in latents. Unchanged where they are; the same for
        every sampler, whatever the scale of its own latents."""
        clean = self.clean
        clamped = clean.clamp(-threshold, threshold)
        noise = (self.x - self.signal * clamped) / self.noise
        match self.says:
            case "v_prediction":
                bounded = self.signal * noise - self.noise * clamped
            case "sample":
                bounded = clamped
            case _:
                bounded = noise
        return torch.where(clean == clamped, self.output, bounded)


@cache
def in_float32(scheduler: str) -> Any:
    """The scheduler class, keeping the latents in float32 between steps.

    The network may compute in bfloat16, whose eight bits would round the latents at every step: at
    sigma 14 by up to 0.03. The noise of ancestral and stochastic samplers is drawn in float32 too,
    from the image's CPU generator, so that it is the same on every device.
    """
    base: Any = getattr(diffusers, scheduler)

    class InFloat32(base):  # type: ignore[misc]
        network_dtype: torch.dtype = torch.float32
        network_input: torch.Tensor | None = None
        threshold: float = 0.0
        last: tuple[torch.Tensor, torch.Tensor, float] | None = None
        start: Start | None = None
        begins: bool = False
        """Whether the first step is the list's first one, even where two are of one timestep."""

        @wraps(base.set_timesteps)
        def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
            super().set_timesteps(*args, **kwargs)
            if self.begins and hasattr(self, "set_begin_index"):
                self.set_begin_index(0)

        @wraps(base.add_noise)
        def add_noise(
            self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: Any
        ) -> Any:
            latents = original_samples.float()
            if self.start is not None:
                latents, noise = self.start(latents)
            noised = super().add_noise(latents, noise.to(latents), timesteps)
            return noised.to(noise.dtype)

        # The pipeline asks the signature of `step` whether it takes a generator; wraps keeps it.
        @wraps(base.scale_model_input)
        def scale_model_input(self, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            scaled = super().scale_model_input(sample, *args, **kwargs)
            self.network_input = scaled[:1]
            return scaled.to(self.network_dtype)

        @wraps(base.step)
        def step(
            self, model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, **kwargs: Any
        ) -> Any:
            # The pipeline of consistency models does not ask how its input is scaled: it is not.
            seen = sample[:1] if self.network_input is None else self.network_input
            output = model_output.float()
            if self.threshold:
                output = Point.of(self, seen, output, timestep).within(self.threshold)
            self.last = (seen, output, timestep)
            return super().step(output, timestep, sample.float(), **kwargs)

    return InFloat32
