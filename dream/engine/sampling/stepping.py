"""A sampler of `solvers`, presented to diffusers' pipelines as a scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor

from dream.engine.sampling.float32 import Start
from dream.engine.sampling.noise_levels import NoiseLevels
from dream.engine.sampling.solvers import Noise, Solver, SolverRun, euler


def list_calls(solver: Solver, sigmas: Sequence[float]) -> list[float]:
    """The sigmas of a solver's calls, found by running it without a network. Not for adaptive
    solvers, whose calls depend on what the network predicts."""
    zero = torch.zeros(1)
    run = solver(zero, sigmas, lambda: zero)
    calls = []
    try:
        x, sigma = next(run)
        while True:
            calls.append(sigma)
            x, sigma = run.send((x, zero))
    except StopIteration:
        return calls


class AdaptiveTimesteps(torch.Tensor):
    """The timesteps of a solver that decides during the run how many calls it makes.

    A pipeline iterates over them, indexes the next one, and compares its count with their length:
    all three follow the scheduler's state. As a tensor it is the next timestep.
    """

    # What is computed with it is a plain tensor.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    scheduler: SolverStepper

    def __iter__(self) -> Iterator[torch.Tensor]:
        while not self.scheduler.finished:
            yield torch.full_like(self, self.scheduler.timestep)[0]

    def __len__(self) -> int:
        return self.scheduler.calls_made + (not self.scheduler.finished)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key.stop is None:
            return self  # a pipeline that starts from an image skips what is not run anyway
        next_one = torch.full_like(self, self.scheduler.timestep)
        return next_one if isinstance(key, slice) else next_one[0]


class SolverStepper:
    """One run of a solver, call by call. Latents are float32 between the calls, whatever the
    network computes in; all noise is drawn in float32 from the image's generator."""

    order = 1

    def __init__(
        self,
        solver: Solver,
        skipped: int,
        dtype: torch.dtype,
        threshold: float,
        *,
        adaptive: bool = False,
    ) -> None:
        """The first `skipped` steps of the list are not run, see `tasks.strength`. `adaptive` is a
        solver whose calls are not known before."""
        self._solver = solver
        self._skipped = skipped
        self._adaptive = adaptive
        self.network_dtype = dtype
        self.threshold = threshold
        self.start: Start | None = None
        self.clean: torch.Tensor | None = None
        """The clean latents (1, C, h, w) that the last call predicted."""
        self._sigmas: Sequence[float] = ()
        self._timestep: Callable[[float], float] = float
        self._run: SolverRun | None = None
        self._source: Any = None
        self.sigma = 0.0
        """Of the next call; or the last of the list, when the run is finished."""
        self.calls_made = 0
        self.finished = False

    def plan(
        self, sigmas: Sequence[float], timestep: Callable[[float], float], device: Any
    ) -> torch.Tensor:
        """The timesteps of all calls. As many precede them as a pipeline that starts from an image
        cuts off: it cuts one per step, and does not know how many calls a step takes."""
        self._sigmas = sigmas[self._skipped :]
        self._timestep = timestep
        self._run, self.calls_made, self.finished, self.clean = None, 0, False, None
        self.sigma = self._sigmas[0]
        if self._adaptive:
            first = torch.tensor([self.timestep], dtype=torch.float32, device=device)
            adaptive: AdaptiveTimesteps = first.as_subclass(AdaptiveTimesteps)
            adaptive.scheduler = self
            return adaptive
        timesteps = [timestep(sigma) for sigma in list_calls(self._solver, self._sigmas)]
        padded = [timesteps[0]] * self._skipped + timesteps
        return torch.tensor(padded, dtype=torch.float32, device=device)

    @property
    def timestep(self) -> float:
        """Of the next call."""
        return self._timestep(self.sigma)

    @property
    def share_done(self) -> float | None:
        """How far an adaptive solver is, in log sigma, from 0 to 1; None for the others, whose
        calls can be counted."""
        if not self._adaptive:
            return None
        if self.finished:
            return 1.0
        first, last = self._sigmas[0], self._sigmas[-1] or self._sigmas[-2]
        return math.log(first / self.sigma) / math.log(first / last) if last < first else 0.0

    def advance(self, x: torch.Tensor, clean: torch.Tensor, source: Any) -> torch.Tensor:
        """The latents after a call in which the network saw `x` and predicted `clean`."""
        if self.threshold:
            # Saharia et al. 2022, arXiv:2205.11487: static thresholding, in latents.
            clean = clean.clamp(-self.threshold, self.threshold)
        self.clean = clean[:1]
        self._source = source
        if self._run is None:
            self._run = self._solver(x, self._sigmas, self._noise_like(x))
            next(self._run)
        self.calls_made += 1
        try:
            latents, self.sigma = self._run.send((x, clean))
        except StopIteration as end:
            latents, self.sigma, self.finished = end.value, self._sigmas[-1], True
        return latents

    def _noise_like(self, x: torch.Tensor) -> Noise:
        shape, device = x.shape, x.device

        def draw() -> torch.Tensor:
            cpu = torch.device("cpu")
            noise = randn_tensor(shape, generator=self._source, device=cpu, dtype=torch.float32)
            moved: torch.Tensor = noise.to(device)
            return moved

        return draw


class SigmaScheduler(SolverStepper, SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """For models with a schedule of betas. Latents are x₀ + sigma * noise between the calls, and of
    variance 1 where the network sees them."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, num_train_timesteps: int = 1000, prediction_type: str = "epsilon") -> None:
        """The configuration that a pipeline may read; `create` makes a usable scheduler."""
        SolverStepper.__init__(self, euler, 0, torch.float32, 0.0)

    @classmethod
    def create(
        cls,
        solver: Solver,
        levels: NoiseLevels,
        sigmas: Callable[[int], list[float]],
        prediction: str,
        *,
        skipped: int = 0,
        dtype: torch.dtype = torch.float32,
        threshold: float = 0.0,
        adaptive: bool = False,
    ) -> SigmaScheduler:
        """`sigmas` computes the list for a number of steps; `prediction` is "epsilon",
        "v_prediction" or "sample"."""
        scheduler: SigmaScheduler = cls(
            num_train_timesteps=len(levels.alphas), prediction_type=prediction
        )
        SolverStepper.__init__(scheduler, solver, skipped, dtype, threshold, adaptive=adaptive)
        scheduler._levels, scheduler._compute_sigmas = levels, sigmas
        scheduler.alphas_cumprod = torch.from_numpy(levels.alphas).float()
        return scheduler

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        self.num_inference_steps = num_inference_steps
        sigmas = self._compute_sigmas(num_inference_steps)
        self.timesteps = self.plan(sigmas, lambda s: float(self._levels.timestep(s)), device)

    @property
    def init_noise_sigma(self) -> float:
        """The scale of the first latents: what the network sees first has variance 1."""
        return math.sqrt(self.sigma**2 + 1)

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Nothing: `create` already knows how many steps are skipped."""

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> Any:
        """An image's latents, as noisy as what the network sees next."""
        latents = original_samples.float()
        if self.start is not None:
            latents, noise = self.start(latents)
        return (latents + self.sigma * noise.to(latents)).to(noise.dtype)

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
        x = self.advance(x, self._predict_x0(x, model_output.float(), sigma), generator)
        if self.finished:
            x = x / math.sqrt(self._sigmas[-1] ** 2 + 1)
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)

    def _predict_x0(self, x: torch.Tensor, output: torch.Tensor, sigma: float) -> torch.Tensor:
        """For v see Salimans and Ho 2022, arXiv:2202.00512, appendix D."""
        match self.config.prediction_type:
            case "v_prediction":
                signal = 1 / (sigma**2 + 1)
                return signal * x - sigma * math.sqrt(signal) * output
            case "sample":
                return output
            case _:
                return x - sigma * output

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)
