"""Samplers that add noise on the way, one function an algorithm: see `solvers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch

from dream.engine.sampling.noise_levels import Levels
from dream.engine.sampling.solvers import BOUNDLESS, Noise, Solver, Walk, euler, heun, toward


def _ancestral(sigma: float, to: float) -> tuple[float, float]:
    """To which sigma to go down, and how much noise to add there, to be at `to`."""
    up = min(to, math.sqrt(max(0.0, to**2 * (sigma**2 - to**2) / sigma**2)))
    return math.sqrt(to**2 - up**2), up


def euler_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Euler's method with ancestral noise, as in k-diffusion; the same as DDPM, Ho et al. 2020,
    arXiv:2006.11239."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        down, up = _ancestral(sigma, to)
        x = toward(clean, x, sigma, down)
        if up:
            x = x + noise() * up
    return x


def dpm_2_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver-2 with ancestral noise, as in k-diffusion."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        down, up = _ancestral(sigma, to)
        if down == 0 or sigma >= BOUNDLESS:
            x = toward(clean, x, sigma, down)
        else:
            middle = math.sqrt(sigma * down)
            seen, there = yield toward(clean, x, sigma, middle), middle
            x = x + (seen - there) * ((down - sigma) / middle)
        if up:
            x = x + noise() * up
    return x


def dpmpp_2s_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver++(2S), Lu et al. 2022, arXiv:2211.01095, with ancestral noise, as in
    k-diffusion."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        down, up = _ancestral(sigma, to)
        if down > 0 and sigma < BOUNDLESS:
            middle = math.sqrt(sigma * down)
            _, clean = yield toward(clean, x, sigma, middle), middle
        x = toward(clean, x, sigma, down)
        if up:
            x = x + noise() * up
    return x


def dpmpp_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver++ as a stochastic equation with r = 1/2, as in k-diffusion. Both noises of a step
    are of one Brownian path: the second holds the first."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        if to == 0 or sigma >= BOUNDLESS:
            down, up = _ancestral(sigma, to)
            x = toward(clean, x, sigma, down)
            x = x + noise() * up if up else x
            continue
        middle = math.sqrt(sigma * to)
        half, rest = noise(), noise()
        down, up = _ancestral(sigma, middle)
        seen = toward(clean, x, sigma, down) + half * up
        _, there = yield seen, middle
        down, up = _ancestral(sigma, to)
        whole = half * math.sqrt(sigma - middle) + rest * math.sqrt(middle - to)
        x = toward(there, x, sigma, down) + whole * (up / math.sqrt(sigma - to))
    return x


def _sde_step(
    clean: torch.Tensor, x: torch.Tensor, sigma: float, to: float
) -> tuple[torch.Tensor, float, float]:
    """The first order of the stochastic equation, how wide the step is in log sigma, twice, and
    how much noise it adds."""
    ratio = to / sigma
    return clean + (x - clean) * ratio**2, -2 * math.log(ratio), to * math.sqrt(1 - ratio**2)


def dpmpp_2m_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver++(2M) as a stochastic equation, midpoint, as in k-diffusion; Gonzalez et al. 2023,
    arXiv:2305.14267, is its theory."""
    before: torch.Tensor | None = None
    last = 0.0
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        if to == 0:
            return clean
        x, width, amount = _sde_step(clean, x, sigma, to)
        if before is not None:
            x = x - 0.5 * math.expm1(-width) * (width / last) * (clean - before)
        x = x + noise() * amount
        before, last = clean, width
    return x


def dpmpp_3m_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver++(3M) as a stochastic equation, as in k-diffusion."""
    past: list[torch.Tensor] = []
    widths: list[float] = []
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        if to == 0:
            return clean
        x, width, amount = _sde_step(clean, x, sigma, to)
        phi_2 = -math.expm1(-width) / -width + 1
        if len(past) == 2:
            r_0, r_1 = widths[0] / width, widths[1] / width
            near, far = (clean - past[0]) / r_0, (past[0] - past[1]) / r_1
            bent = (near - far) / (r_0 + r_1)
            x = x + phi_2 * (near + bent * r_0) - (phi_2 / width - 0.5) * bent
        elif past:
            x = x + phi_2 * (clean - past[0]) * (width / widths[0])
        x = x + noise() * amount
        past, widths = [clean, *past[:1]], [width, *widths[:1]]
    return x


def er_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """ER-SDE-Solver-3, Cui et al. 2023, arXiv:2309.06169, with its fifth noise scale."""
    points = torch.arange(200, dtype=torch.float64)

    def scale(sigma: torch.Tensor) -> torch.Tensor:
        return sigma * ((sigma**0.3).exp() + 10.0)

    before, slope_before = None, None
    for step, (sigma, to) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        if to == 0:
            return clean
        start, end = torch.tensor(sigma).double(), torch.tensor(to).double()
        ratio = float(scale(end) / scale(start))
        x = clean + (x - clean) * ratio
        if before is not None:
            at = end + points * ((start - end) / 200)
            inverse = (start - end) / 200 / scale(at)
            slope = (clean - before) / (sigma - sigmas[step - 1])
            x = x + float(end - start + inverse.sum() * scale(end)) * slope
            if slope_before is not None:
                curve = (slope - slope_before) / ((sigma - sigmas[step - 2]) / 2)
                bend = (end - start) ** 2 / 2 + ((at - start) * inverse).sum() * scale(end)
                x = x + float(bend) * curve
            slope_before = slope
        x = x + noise() * math.sqrt(max(0.0, to**2 - (sigma * ratio) ** 2))
        before = clean
    return x


CHURN, CHURN_LEAST, CHURN_MOST, CHURN_NOISE = 40, 0.05, 50.0, 1.003
"""Karras et al. 2022, arXiv:2206.00364, table 5: ImageNet."""


def _churned(method: Solver, x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Karras et al. 2022, arXiv:2206.00364, algorithm 2: before each step some noise is added;
    not before the first, where there is fresh noise already."""
    most = min(CHURN / (len(sigmas) - 1), math.sqrt(2) - 1)
    for step, (sigma, to) in enumerate(pairwise(sigmas)):
        higher = sigma
        if step and CHURN_LEAST <= sigma <= CHURN_MOST:
            higher = sigma * (1 + most)
            x = x + noise() * (CHURN_NOISE * math.sqrt(higher**2 - sigma**2))
        x = yield from method(x, (higher, to), noise)
    return x


RESTART_FROM, RESTART_TO = 0.1, 2.0
"""Sigmas: after the first the walk goes back to the second."""


def restart(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Restart, Xu et al. 2023, arXiv:2306.14878: Heun's method, and once, near the end, noise is
    laid over the picture again and that part of the list walked anew."""
    inside = [sigma for sigma in sigmas if RESTART_FROM <= sigma <= RESTART_TO]
    if len(inside) < 2:
        return (yield from heun(x, sigmas, noise))
    last = sigmas.index(inside[-1])
    x = yield from heun(x, sigmas[: last + 1], noise)
    x = x + noise() * math.sqrt(inside[0] ** 2 - inside[-1] ** 2)
    x = yield from heun(x, inside, noise)
    return (yield from heun(x, sigmas[last:], noise))


def lcm(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Consistency models: Luo et al. 2023, arXiv:2310.04378, algorithm 3, as in k-diffusion."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        x = clean + noise() * to if to else clean
    return x


TCD_GAMMA = 0.3
"""As in diffusers and ComfyUI."""


def tcd(levels: Levels) -> Solver:
    """Trajectory consistency: Zheng et al. 2024, arXiv:2402.19159, algorithm 4: down to a share of
    the next timestep, and up again by noise."""

    def walk(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
        for sigma, to in pairwise(sigmas):
            x, clean = yield x, sigma
            if to == 0:
                return clean
            below = min(to, float(levels.sigma((1 - TCD_GAMMA) * levels.timestep(to))))
            x = toward(clean, x, sigma, below) + noise() * math.sqrt(to**2 - below**2)
        return x

    return walk


euler_churn: Solver = partial(_churned, euler)
heun_churn: Solver = partial(_churned, heun)
