"""Lists of sigmas for samplers, each from a paper or a program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dream.engine.sampling.noise_levels import NoiseLevels, Sigmas, SigmaTable

AYS = {
    False: (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    True: (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}
"""Align Your Steps, ten steps, for Stable Diffusion 1 and (True) XL."""


def compute_sigmas(
    schedule: str, levels: NoiseLevels, steps: int, *, spacing: str = "linspace", xl: bool = False
) -> list[float]:
    """`steps` sigmas, falling, and a last one: 0, except for CompVis' lists, which end at the
    cleanest sigma of the training. `spacing` is the sampler's, for a model that has none."""
    if schedule == "model":
        listed = _spaced(levels, steps, levels.spacing or spacing)
        ends = levels.sigmas[0] if spacing == "leading" else 0.0
        return [*map(float, listed), float(ends)]
    if schedule == "align_your_steps":
        return [*map(float, _aligned(levels, steps, xl)), 0.0]
    return [*map(float, SCHEDULE_FUNCTIONS[schedule](levels, steps)), 0.0]


def _spaced(levels: NoiseLevels, steps: int, spacing: str) -> Sigmas:
    """By timesteps, with the model's spacing: table 2 of Lin et al. 2023, arXiv:2305.08891."""
    count = len(levels.sigmas)
    if spacing == "leading":
        leading = np.arange(steps)[::-1] * (count // steps) + levels.offset
        return np.asarray(levels.sigma(leading.clip(0, count - 1)))
    if spacing == "trailing":
        at = np.arange(count, 0, -count / steps).round()[:steps] - 1
        return np.asarray(levels.sigma(at))
    return _uniform(levels, steps)


def _uniform(levels: SigmaTable, steps: int) -> Sigmas:
    """k-diffusion's `get_sigmas`: from the noisiest timestep to the cleanest."""
    return np.asarray(levels.sigma(np.linspace(len(levels.sigmas) - 1, 0, steps)))


def _karras(levels: SigmaTable, steps: int, rho: float = 7.0) -> Sigmas:
    """Karras et al. 2022, arXiv:2206.00364, equation 5."""
    clean, noisy = levels.sigmas[[0, -1]] ** (1 / rho)
    return np.asarray((noisy + np.linspace(0, 1, steps) * (clean - noisy)) ** rho)


def _exponential(levels: SigmaTable, steps: int) -> Sigmas:
    """k-diffusion's `get_sigmas_exponential`: even in log sigma."""
    clean, noisy = np.log(levels.sigmas[[0, -1]])
    return np.exp(np.linspace(noisy, clean, steps))


def _beta(levels: SigmaTable, steps: int, shape: float = 0.6) -> Sigmas:
    """Lee et al. 2024, arXiv:2407.12173: timesteps at the quantiles of a Beta distribution."""
    from scipy.stats import beta

    quantiles = 1 - np.linspace(0, 1, steps, endpoint=False)
    return np.asarray(levels.sigma(beta.ppf(quantiles, shape, shape) * (len(levels.sigmas) - 1)))


def _sgm_uniform(levels: SigmaTable, steps: int) -> Sigmas:
    """Stability's generative-models: even in time, without the cleanest."""
    return np.asarray(levels.sigma(np.linspace(len(levels.sigmas) - 1, 0, steps + 1)[:-1]))


def _simple(levels: SigmaTable, steps: int) -> Sigmas:
    """ComfyUI's: every n-th of the sigmas, from the noisiest."""
    count = len(levels.sigmas)
    return np.asarray(levels.sigmas[count - 1 - (np.arange(steps) * (count / steps)).astype(int)])


def _kl_optimal(levels: SigmaTable, steps: int) -> Sigmas:
    """Sabour et al. 2024, arXiv:2404.14507, theorem 3.1: even in arctan sigma."""
    clean, noisy = np.arctan(levels.sigmas[[0, -1]])
    return np.tan(np.linspace(noisy, clean, steps))


def _aligned(levels: NoiseLevels, steps: int, xl: bool) -> Sigmas:
    """Sabour et al. 2024, arXiv:2404.14507: their lists, log sigma interpolated for other counts;
    from the model's noisiest sigma to its cleanest."""
    table = np.log(AYS[xl])
    sigmas = np.exp(np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(table)), table))
    sigmas[0] = levels.sigmas[-1]
    return np.asarray(np.clip(sigmas, levels.sigmas[0], None))


SCHEDULE_FUNCTIONS: dict[str, Callable[[SigmaTable, int], Sigmas]] = {
    "uniform": _uniform,
    "karras": _karras,
    "exponential": _exponential,
    "beta": _beta,
    "sgm_uniform": _sgm_uniform,
    "simple": _simple,
    "kl_optimal": _kl_optimal,
}
"""From the sigmas of the training, and the number of steps."""
