"""A sampler of `solvers` for flow-matching models (Stable Diffusion 3, Flux)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from dream.engine.sampling.noise_levels import SigmaTable
from dream.engine.sampling.sigma_schedules import SCHEDULE_FUNCTIONS
from dream.engine.sampling.solvers import Solver
from dream.engine.sampling.stepping import SolverStepper

MAX_SIGMA = 1 - 2.0**-12
"""Instead of a sigma of 1, where noise over signal is needed: there it is infinite."""
_ONE_LIST = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}


def supports_schedule(schedule: str) -> bool:
    """Whether a list of sigmas can be computed for flow matching."""
    return schedule == "model" or schedule in SCHEDULE_FUNCTIONS


class FlowScheduler(SolverStepper, FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """Latents are (1 - sigma) * x₀ + sigma * noise. The schedule "model" is the model's own list;
    the others choose from the sigmas of its training, with its shift, as in ComfyUI. A solver that
    works in log sigma is passed the latents as x₀ + k * noise, where k is sigma / (1 - sigma)."""

    _logarithmic: bool
    _schedule: str
    _unrounded: torch.Tensor | None = None

    __init__ = FlowMatchEulerDiscreteScheduler.__init__

    @classmethod
    def create(
        cls,
        solver: Solver,
        config: Any,
        *,
        logarithmic: bool,
        schedule: str = "model",
        skipped: int = 0,
        dtype: torch.dtype = torch.float32,
        threshold: float = 0.0,
    ) -> FlowScheduler:
        """`config` is that of the model's own FlowMatchEulerDiscreteScheduler."""
        scheduler: FlowScheduler = cls.from_config(config)
        SolverStepper.__init__(scheduler, solver, skipped, dtype, threshold)
        scheduler._logarithmic, scheduler._schedule = logarithmic, schedule
        return scheduler

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        own: torch.Tensor = self.sigmas  # type: ignore[has-type]
        used = [float(sigma) for sigma in own]
        if self._schedule != "model":
            listed = SCHEDULE_FUNCTIONS[self._schedule](self._trained_sigmas(mu), len(used) - 1)
            used = [*map(float, listed), 0.0]
            self.sigmas = torch.tensor(used, dtype=torch.float32, device=device)
        if self._logarithmic:
            used = [min(sigma, MAX_SIGMA) for sigma in used]
            used = [sigma / (1 - sigma) for sigma in used]
        trained = self.config.num_train_timesteps
        self.timesteps = self.plan(used, lambda sigma: self._share(sigma) * trained, device)
        self._unrounded = None

    def _trained_sigmas(self, mu: float | None) -> SigmaTable:
        """The sigma of every timestep of the training, with the model's shift."""
        trained = self.config.num_train_timesteps
        own = FlowMatchEulerDiscreteScheduler.from_config(self.config, **_ONE_LIST)
        own.set_timesteps(sigmas=np.arange(trained, 0, -1) / trained, mu=mu)
        return SigmaTable(own.sigmas[:-1].flip(0).double().numpy())

    def _share(self, sigma: float) -> float:
        """The share of noise in the latents, at a sigma of the solver's."""
        return sigma / (1 + sigma) if self._logarithmic else sigma

    def scale_noise(self, sample: torch.Tensor, timestep: Any, noise: Any = None) -> torch.Tensor:
        """An image's latents, as noisy as what the network sees next."""
        share = self._share(self.sigma)
        mixed = (1 - share) * sample.float() + share * noise.float()
        noised: torch.Tensor = mixed.to(sample.dtype)
        return noised

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: Any = None,
        return_dict: bool = True,
        **rest: Any,
    ) -> Any:
        x, share = sample.float(), self._share(self.sigma)
        if self._unrounded is not None and torch.equal(self._unrounded.to(sample.dtype), sample):
            x = self._unrounded  # the pipeline only rounded it
        clean = x - share * model_output.float()
        if self._logarithmic:
            x = x / (1 - share)
        x = self.advance(x, clean, generator)
        if self._logarithmic:
            x = x * (1 - self._share(self.sigma))
        self._unrounded = x
        x = x.to(model_output.dtype)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)
