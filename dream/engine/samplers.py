"""A row of the table of samplers, made into a scheduler for one picture of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

import diffusers
import torch

from dream.samplers import SAMPLERS

Start = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""A picture's clean latents (1, C, h, w), to those that the walk begins from and the noise, in
float32, that is laid over them."""


def obeys_table(config: Mapping[str, Any]) -> bool:
    """Whether a model with this scheduler configuration can take the samplers of the table: those
    walk a discrete schedule of betas. Flow matching (SD 3, Flux) and EDM models do not have one."""
    return "beta_schedule" in config and config.get("prediction_type") != "flow_prediction"


def sampler_of(pipe: Any, asked: str) -> str:
    """The row that a pipeline can walk by: the asked one, but for consistency models' own pipeline,
    which hands its scheduler what only LCM's takes."""
    return "lcm" if type(pipe).__name__.startswith("LatentConsistencyModel") else asked


def make_scheduler(
    sampler: str,
    config: Mapping[str, Any],
    steps: int,
    dtype: torch.dtype,
    *,
    threshold: float = 0.0,
    karras_max: int | None = None,
) -> Any:
    """A fresh scheduler: the model's own configuration with the row's settings laid over it.

    `dtype` is the network's. Latents stay float32 between steps, see `_in_float32`. With a
    `threshold` above 0, what they clear up to is clamped to it. The k_ samplers that can take
    Karras' sigmas do so in fewer steps than `karras_max`.
    """
    row = SAMPLERS[sampler]
    settings = dict(row.settings)
    if karras_max is not None and sampler.startswith("k_") and "use_karras_sigmas" in settings:
        settings["use_karras_sigmas"] = steps < karras_max
    if row.scheduler == "LCMScheduler":
        # It picks its steps out of this many, and refuses more of them.
        settings["original_inference_steps"] = max(50, steps)
    scheduler = _in_float32(row.scheduler).from_config(config, **settings)
    scheduler.network_dtype = dtype
    scheduler.threshold = threshold
    return scheduler


def clean_estimate(scheduler: Any) -> torch.Tensor | None:
    """The clean latents (1, C, h, w) that the last step aimed at; None before the first one, or
    with a scheduler that is not ours.

    Every scheduler scales its input to the variance-preserving form x = √ᾱ·x₀ + √(1−ᾱ)·ε, so one
    formula serves them all. For v see Salimans and Ho 2022, arXiv:2202.00512, appendix D.
    """
    if getattr(scheduler, "last", None) is None:
        return None
    return _Point.of(scheduler, *scheduler.last).clean


@dataclass(frozen=True)
class _Point:
    """Where a sampler is, in the variance-preserving form."""

    x: torch.Tensor
    """(1, C, h, w): what the network saw, in float32."""
    output: torch.Tensor
    """What the network said of it, in float32."""
    says: str
    """What that is: the noise, the "v_prediction" or the clean "sample"."""
    signal: torch.Tensor
    noise: torch.Tensor
    """How much of x is which: √ᾱ and √(1−ᾱ)."""

    @staticmethod
    def of(scheduler: Any, x: torch.Tensor, output: torch.Tensor, timestep: Any) -> _Point:
        # Sigmas between the training steps (Karras') have timesteps between whole numbers.
        kept: torch.Tensor = scheduler.alphas_cumprod[round(float(timestep))]
        signal = kept.to(x.device, torch.float32).sqrt().clamp(min=1e-4)
        noise = (1 - signal**2).sqrt().clamp(min=1e-4)
        says = scheduler.config.prediction_type
        return _Point(x.float(), output.float(), says, signal, noise)

    @property
    def clean(self) -> torch.Tensor:
        """The latents that this clears up to."""
        match self.says:
            case "v_prediction":
                return self.signal * self.x - self.noise * self.output
            case "sample":
                return self.output
            case _:
                return (self.x - self.noise * self.output) / self.signal

    def within(self, threshold: float) -> torch.Tensor:
        """The output, as if the clean latents were nowhere beyond ±threshold: the static
        thresholding of Saharia et al. 2022, arXiv:2205.11487, in latents. It is the same where
        they are not; and for every sampler, whatever the scale of its own latents."""
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
def _in_float32(scheduler: str) -> Any:
    """The scheduler class, keeping the latents in float32 between steps.

    The network may compute in bfloat16, whose eight bits would round the latents at every step: at
    sigma 14 by up to 0.03. Drawn in float32 too is the noise of ancestral and stochastic samplers,
    from the picture's CPU generator, so that it is the same on every device.
    """
    base: Any = getattr(diffusers, scheduler)

    class InFloat32(base):  # type: ignore[misc]
        network_dtype: torch.dtype = torch.float32
        network_input: torch.Tensor | None = None
        threshold: float = 0.0
        last: tuple[torch.Tensor, torch.Tensor, float] | None = None
        start: Start | None = None

        @wraps(base.add_noise)
        def add_noise(
            self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: Any
        ) -> Any:
            picture = original_samples.float()
            if self.start is not None:
                picture, noise = self.start(picture)
            noised = super().add_noise(picture, noise.to(picture), timesteps)
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
                output = _Point.of(self, seen, output, timestep).within(self.threshold)
            self.last = (seen, output, timestep)
            return super().step(output, timestep, sample.float(), **kwargs)

    return InFloat32
