"""A sampler of `solvers` behind what a pipeline of diffusers asks of its scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor

from dream.engine.sampling.float32 import Start
from dream.engine.sampling.noise_levels import Levels
from dream.engine.sampling.solvers import Noise, Solver, Walk, euler


def calls_of(solver: Solver, sigmas: Sequence[float]) -> list[float]:
    """At which sigmas the network will be asked: the walk, rehearsed with nothing."""
    nothing = torch.zeros(1)
    walk = solver(nothing, sigmas, lambda: nothing)
    found = []
    try:
        x, sigma = next(walk)
        while True:
            found.append(sigma)
            x, sigma = walk.send((x, nothing))
    except StopIteration:
        return found


class Stepping:
    """One walk of a solver, call by call. Latents are float32 between the calls, whatever the
    network computes in; all noise is drawn in float32 from the picture's generator."""

    order = 1

    def __init__(self, solver: Solver, skipped: int, dtype: torch.dtype, threshold: float) -> None:
        """Of the list's steps the first `skipped` are not walked, see `tasks.walk`."""
        self._solver = solver
        self._skipped = skipped
        self.network_dtype = dtype
        self.threshold = threshold
        self.start: Start | None = None
        self.cleaned: torch.Tensor | None = None
        """The clean latents (1, C, h, w) that the last call aimed at."""
        self._sigmas: Sequence[float] = ()
        self._calls: list[float] = []
        self._walk: Walk | None = None
        self._source: Any = None
        self._done = 0

    def plan(self, sigmas: Sequence[float], timestep: Callable[[float], float]) -> list[float]:
        """The timesteps of all calls. Before them stand as many as a pipeline cuts off that begins
        from a picture: it takes one for each step, and does not know how many calls a step is."""
        self._sigmas = sigmas[self._skipped :]
        self._calls = calls_of(self._solver, self._sigmas)
        self._walk, self._done, self.cleaned = None, 0, None
        at = [timestep(sigma) for sigma in self._calls]
        return [at[0]] * self._skipped + at

    @property
    def sigma(self) -> float:
        """Where the network is asked next; or where the walk has ended."""
        left = self._calls[self._done :]
        return left[0] if left else self._sigmas[-1]

    def advance(self, x: torch.Tensor, clean: torch.Tensor, source: Any) -> torch.Tensor:
        """The latents after a call that saw `x` and aims at `clean`."""
        if self.threshold:
            # Saharia et al. 2022, arXiv:2205.11487: static thresholding, in latents.
            clean = clean.clamp(-self.threshold, self.threshold)
        self.cleaned = clean[:1]
        self._source = source
        if self._walk is None:
            self._walk = self._solver(x, self._sigmas, self._noise_like(x))
            next(self._walk)
        self._done += 1
        try:
            on: torch.Tensor = self._walk.send((x, clean))[0]
            return on
        except StopIteration as end:
            last: torch.Tensor = end.value
            return last

    def _noise_like(self, x: torch.Tensor) -> Noise:
        shape, device = x.shape, x.device

        def drawn() -> torch.Tensor:
            on = torch.device("cpu")
            noise = randn_tensor(shape, generator=self._source, device=on, dtype=torch.float32)
            there: torch.Tensor = noise.to(device)
            return there

        return drawn


class SigmaScheduler(Stepping, SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """For models that walk a schedule of betas. Latents are x₀ + sigma * noise between the calls,
    and of variance 1 where the network sees them."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, num_train_timesteps: int = 1000, prediction_type: str = "epsilon") -> None:
        """What a pipeline may ask for; `of` makes one that walks."""
        Stepping.__init__(self, euler, 0, torch.float32, 0.0)

    @classmethod
    def of(
        cls,
        solver: Solver,
        levels: Levels,
        sigmas: Callable[[int], list[float]],
        prediction: str,
        *,
        skipped: int = 0,
        dtype: torch.dtype = torch.float32,
        threshold: float = 0.0,
    ) -> SigmaScheduler:
        """`sigmas` is the list for a count of steps; `prediction` is "epsilon", "v_prediction" or
        "sample"."""
        made: SigmaScheduler = cls(
            num_train_timesteps=len(levels.alphas), prediction_type=prediction
        )
        Stepping.__init__(made, solver, skipped, dtype, threshold)
        made._levels, made._list = levels, sigmas
        made.alphas_cumprod = torch.from_numpy(levels.alphas).float()
        return made

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        self.num_inference_steps = num_inference_steps
        at = self.plan(self._list(num_inference_steps), lambda s: float(self._levels.timestep(s)))
        self.timesteps = torch.tensor(at, dtype=torch.float32, device=device)

    @property
    def init_noise_sigma(self) -> float:
        """So that what the network sees first is of variance 1."""
        return math.sqrt(self.sigma**2 + 1)

    def set_begin_index(self, begin_index: int = 0) -> None:
        """It was told how many steps are skipped when it was made."""

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> Any:
        """A picture, as noisy as what the network sees next."""
        picture = original_samples.float()
        if self.start is not None:
            picture, noise = self.start(picture)
        return (picture + self.sigma * noise.to(picture)).to(noise.dtype)

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        return (sample / math.sqrt(self.sigma**2 + 1)).to(self.network_dtype)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: Any = None,
        return_dict: bool = True,
    ) -> Any:
        x, sigma = sample.float(), self.sigma
        x = self.advance(x, self._clean(x, model_output.float(), sigma), generator)
        if self._done == len(self._calls):
            x = x / math.sqrt(self._sigmas[-1] ** 2 + 1)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)

    def _clean(self, x: torch.Tensor, output: torch.Tensor, sigma: float) -> torch.Tensor:
        """For v see Salimans and Ho 2022, arXiv:2202.00512, appendix D."""
        match self.config.prediction_type:
            case "v_prediction":
                kept = 1 / (sigma**2 + 1)
                return kept * x - sigma * math.sqrt(kept) * output
            case "sample":
                return output
            case _:
                return x - sigma * output

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)
