"""Samplers that add noise, one function per algorithm: see `solvers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch

from dream.engine.sampling.noise_levels import NoiseLevels
from dream.engine.sampling.solvers import (
    PURE_NOISE,
    Noise,
    Solver,
    SolverRun,
    euler,
    euler_step,
    heun,
)


def _split_step(sigma: float, next_sigma: float) -> tuple[float, float]:
    """An ancestral step: the sigma to denoise to, and how much noise to add there, so that the
    latents are at next_sigma."""
    variance = next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2
    up = min(next_sigma, math.sqrt(max(0.0, variance)))
    return math.sqrt(next_sigma**2 - up**2), up


def euler_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """Euler's method with ancestral noise, as in k-diffusion; the same as DDPM, Ho et al. 2020,
    arXiv:2006.11239."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        down, up = _split_step(sigma, next_sigma)
        x = euler_step(clean, x, sigma, down)
        if up:
            x = x + noise() * up
    return x


def dpm_2_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver-2 with ancestral noise, as in k-diffusion."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        down, up = _split_step(sigma, next_sigma)
        if down == 0 or sigma >= PURE_NOISE:
            x = euler_step(clean, x, sigma, down)
        else:
            middle = math.sqrt(sigma * down)
            x_mid, clean_mid = yield euler_step(clean, x, sigma, middle), middle
            x = x + (x_mid - clean_mid) * ((down - sigma) / middle)
        if up:
            x = x + noise() * up
    return x


def dpmpp_2s_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver++(2S), Lu et al. 2022, arXiv:2211.01095, with ancestral noise, as in
    k-diffusion."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        down, up = _split_step(sigma, next_sigma)
        if down > 0 and sigma < PURE_NOISE:
            middle = math.sqrt(sigma * down)
            _, clean = yield euler_step(clean, x, sigma, middle), middle
        x = euler_step(clean, x, sigma, down)
        if up:
            x = x + noise() * up
    return x


def dpmpp_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver++ as a stochastic differential equation with r = 1/2, as in k-diffusion. Both
    noises of a step belong to one Brownian path: the second includes the first."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        if next_sigma == 0 or sigma >= PURE_NOISE:
            down, up = _split_step(sigma, next_sigma)
            x = euler_step(clean, x, sigma, down)
            x = x + noise() * up if up else x
            continue
        middle = math.sqrt(sigma * next_sigma)
        first, second = noise(), noise()
        down, up = _split_step(sigma, middle)
        x_mid = euler_step(clean, x, sigma, down) + first * up
        _, clean_mid = yield x_mid, middle
        down, up = _split_step(sigma, next_sigma)
        path = first * math.sqrt(sigma - middle) + second * math.sqrt(middle - next_sigma)
        x = euler_step(clean_mid, x, sigma, down) + path * (up / math.sqrt(sigma - next_sigma))
    return x


def _sde_step(
    clean: torch.Tensor, x: torch.Tensor, sigma: float, next_sigma: float
) -> tuple[torch.Tensor, float, float]:
    """The latents after a step of first order of the stochastic equation; twice its width in log
    sigma; and how much noise it adds."""
    ratio = next_sigma / sigma
    amount = next_sigma * math.sqrt(1 - ratio**2)
    return clean + (x - clean) * ratio**2, -2 * math.log(ratio), amount


def dpmpp_2m_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver++(2M) as a stochastic differential equation, midpoint, as in k-diffusion; for its
    theory see Gonzalez et al. 2023, arXiv:2305.14267."""
    previous: torch.Tensor | None = None
    last_width = 0.0
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        if next_sigma == 0:
            return clean
        x, width, amount = _sde_step(clean, x, sigma, next_sigma)
        if previous is not None:
            x = x - 0.5 * math.expm1(-width) * (width / last_width) * (clean - previous)
        x = x + noise() * amount
        previous, last_width = clean, width
    return x


def dpmpp_3m_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver++(3M) as a stochastic differential equation, as in k-diffusion."""
    cleans: list[torch.Tensor] = []
    widths: list[float] = []
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        if next_sigma == 0:
            return clean
        x, width, amount = _sde_step(clean, x, sigma, next_sigma)
        phi_2 = -math.expm1(-width) / -width + 1
        if len(cleans) == 2:
            r_0, r_1 = widths[0] / width, widths[1] / width
            near, far = (clean - cleans[0]) / r_0, (cleans[0] - cleans[1]) / r_1
            curve = (near - far) / (r_0 + r_1)
            x = x + phi_2 * (near + curve * r_0) - (phi_2 / width - 0.5) * curve
        elif cleans:
            x = x + phi_2 * (clean - cleans[0]) * (width / widths[0])
        x = x + noise() * amount
        cleans, widths = [clean, *cleans[:1]], [width, *widths[:1]]
    return x


def er_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """ER-SDE-Solver-3, Cui et al. 2023, arXiv:2309.06169, with its fifth noise scale."""
    points = torch.arange(200, dtype=torch.float64) + 0.5  # midpoints, for its integrals

    def noise_scale(sigma: torch.Tensor) -> torch.Tensor:
        return sigma * ((sigma**0.3).exp() + 10.0)

    previous, last_slope = None, None
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        if next_sigma == 0:
            return clean
        start, end = torch.tensor(sigma).double(), torch.tensor(next_sigma).double()
        ratio = float(noise_scale(end) / noise_scale(start))
        x = clean + (x - clean) * ratio
        if previous is not None:
            at = end + points * ((start - end) / 200)
            inverse = (start - end) / 200 / noise_scale(at)
            slope = (clean - previous) / (sigma - sigmas[step - 1])
            x = x + float(end - start + inverse.sum() * noise_scale(end)) * slope
            if last_slope is not None:
                curve = (slope - last_slope) / ((sigma - sigmas[step - 2]) / 2)
                factor = (end - start) ** 2 / 2 + ((at - start) * inverse).sum() * noise_scale(end)
                x = x + float(factor) * curve
            last_slope = slope
        x = x + noise() * math.sqrt(max(0.0, next_sigma**2 - (sigma * ratio) ** 2))
        previous = clean
    return x


CHURN, CHURN_MIN_SIGMA, CHURN_MAX_SIGMA, CHURN_NOISE = 40, 0.05, 50.0, 1.003
"""Karras et al. 2022, arXiv:2206.00364, table 5: ImageNet."""


def _run_with_churn(
    method: Solver, x: torch.Tensor, sigmas: Sequence[float], noise: Noise
) -> SolverRun:
    """Karras et al. 2022, arXiv:2206.00364, algorithm 2: some noise is added before each step; not
    before the first one, where the noise is fresh."""
    share = min(CHURN / (len(sigmas) - 1), math.sqrt(2) - 1)
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        higher = sigma
        if step and CHURN_MIN_SIGMA <= sigma <= CHURN_MAX_SIGMA:
            higher = sigma * (1 + share)
            x = x + noise() * (CHURN_NOISE * math.sqrt(higher**2 - sigma**2))
        x = yield from method(x, (higher, next_sigma), noise)
    return x


RESTART_MIN_SIGMA, RESTART_MAX_SIGMA = 0.1, 2.0
"""At the last sigma above the first, noise is added up to the last sigma below the second."""


def restart(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """Restart, Xu et al. 2023, arXiv:2306.14878: Heun's method; once, near the end, noise is added
    to the latents, and that part of the list is repeated."""
    repeated = [sigma for sigma in sigmas if RESTART_MIN_SIGMA <= sigma <= RESTART_MAX_SIGMA]
    if len(repeated) < 2:
        return (yield from heun(x, sigmas, noise))
    last = sigmas.index(repeated[-1])
    x = yield from heun(x, sigmas[: last + 1], noise)
    x = x + noise() * math.sqrt(repeated[0] ** 2 - repeated[-1] ** 2)
    x = yield from heun(x, repeated, noise)
    return (yield from heun(x, sigmas[last:], noise))


def lcm(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """Consistency models: Luo et al. 2023, arXiv:2310.04378, algorithm 3, as in k-diffusion."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        x = clean + noise() * next_sigma if next_sigma else clean
    return x


TCD_GAMMA = 0.3
"""As in diffusers and ComfyUI."""


def make_tcd(levels: NoiseLevels) -> Solver:
    """Trajectory consistency: Zheng et al. 2024, arXiv:2402.19159, algorithm 4: down to a share of
    the next timestep, and up again by adding noise."""

    def tcd(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
        for sigma, next_sigma in pairwise(sigmas):
            x, clean = yield x, sigma
            if next_sigma == 0:
                return clean
            timestep = (1 - TCD_GAMMA) * levels.timestep(next_sigma)
            below = min(next_sigma, float(levels.sigma(timestep)))
            amount = math.sqrt(next_sigma**2 - below**2)
            x = euler_step(clean, x, sigma, below) + noise() * amount
        return x

    return tcd


euler_churn: Solver = partial(_run_with_churn, euler)
heun_churn: Solver = partial(_run_with_churn, heun)
