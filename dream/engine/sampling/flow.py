"""A sampler of `solvers` for models of flow matching (Stable Diffusion 3, Flux)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from dream.engine.sampling.solvers import Solver
from dream.engine.sampling.stepping import Stepping

MOST = 1 - 2.0**-12
"""In place of the sigma 1 where noise over signal is wanted: there it has no bounds."""


class FlowScheduler(Stepping, FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """Latents are (1 - sigma) * x₀ + sigma * noise, and the list of sigmas is the model's own, with
    its shift. A solver that works in log sigma sees them as x₀ + k * noise, k being
    sigma / (1 - sigma)."""

    _logarithmic: bool
    _kept: torch.Tensor | None = None

    __init__ = FlowMatchEulerDiscreteScheduler.__init__

    @classmethod
    def of(
        cls,
        solver: Solver,
        config: Any,
        *,
        logarithmic: bool,
        skipped: int = 0,
        dtype: torch.dtype = torch.float32,
        threshold: float = 0.0,
    ) -> FlowScheduler:
        """`config` is that of the model's own FlowMatchEulerDiscreteScheduler."""
        made: FlowScheduler = cls.from_config(config)
        Stepping.__init__(made, solver, skipped, dtype, threshold)
        made._logarithmic = logarithmic
        return made

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        own = [float(sigma) for sigma in self.sigmas]
        if self._logarithmic:
            own = [min(sigma, MOST) for sigma in own]
            own = [sigma / (1 - sigma) for sigma in own]
        trained = self.config.num_train_timesteps
        at = self.plan(own, lambda sigma: self._of_all(sigma) * trained)
        self.timesteps = torch.tensor(at, dtype=torch.float32, device=device)
        self._kept = None

    def _of_all(self, sigma: float) -> float:
        """The share of noise in the latents, at a sigma of the solver's."""
        return sigma / (1 + sigma) if self._logarithmic else sigma

    def scale_noise(self, sample: torch.Tensor, timestep: Any, noise: Any = None) -> torch.Tensor:
        """A picture, as noisy as what the network sees next."""
        share = self._of_all(self.sigma)
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
        x, share = sample.float(), self._of_all(self.sigma)
        if self._kept is not None and torch.equal(self._kept.to(sample.dtype), sample):
            x = self._kept  # the pipeline rounded it, and did nothing else to it
        clean = x - share * model_output.float()
        if self._logarithmic:
            x = x / (1 - share)
        x = self.advance(x, clean, generator)
        if self._logarithmic:
            x = x * (1 - self._of_all(self.sigma))
        self._kept = x
        x = x.to(model_output.dtype)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)
