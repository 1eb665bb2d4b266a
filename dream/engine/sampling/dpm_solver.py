"""DPM-Solver in steps of order three, fixed and adaptive: Lu et al. 2022, arXiv:2206.00927.

Both take equal or chosen steps in t = -log sigma from the first sigma of the list to its last one
above 0, and use no others of it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from itertools import pairwise

import numpy as np
import torch

from dream.engine.sampling.solvers import Noise, SolverRun, euler_step


def dpm_fast(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver-fast: as many calls as the list has steps, in steps of order three, even in log
    sigma, as in k-diffusion."""
    calls = len(sigmas) - 1
    start, end = -math.log(sigmas[0]), -math.log(sigmas[-1] or sigmas[-2])
    if calls == 1:
        x, clean = yield x, sigmas[0]
        return clean
    count = calls // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if calls % 3 == 0 else [3] * (count - 1) + [calls % 3]
    for (t, to), order in zip(pairwise(np.linspace(start, end, count + 1)), orders, strict=True):
        x = yield from _dpm_step(x, float(t), float(to - t), order)
    return x


def _dpm_step(x: torch.Tensor, t: float, h: float, order: int) -> SolverRun:
    """One step of DPM-Solver-1, -2 or -3 over `h` of t = -log sigma."""
    sigma = math.exp(-t)
    x, clean = yield x, sigma
    eps = (x - clean) / sigma
    if order == 1:
        return _first_order(x, eps, t, h)
    part = h / order
    x_1, clean_1 = yield _first_order(x, eps, t, part), math.exp(-(t + part))
    eps_1 = (x_1 - clean_1) / math.exp(-(t + part))
    if order == 2:
        return _first_order(x, eps_1, t, h)
    return (yield from _third_order(x, eps, eps_1, t, h))


def _first_order(x: torch.Tensor, eps: torch.Tensor, t: float, h: float) -> torch.Tensor:
    """The step over `h` with one noise prediction `eps`."""
    return x - math.exp(-(t + h)) * math.expm1(h) * eps


def _second_order(
    x: torch.Tensor, eps: torch.Tensor, eps_r: torch.Tensor, t: float, h: float, r: float
) -> torch.Tensor:
    """DPM-Solver-2 over `h`, with the noise prediction `eps_r` at t + r * h."""
    return _first_order(x, eps + (eps_r - eps) / (2 * r), t, h)


def _third_order(
    x: torch.Tensor, eps: torch.Tensor, eps_1: torch.Tensor, t: float, h: float
) -> SolverRun:
    """DPM-Solver-3 over `h`, with the noise predictions at t and t + h / 3; takes one call."""
    part = 2 * h / 3
    sigma = math.exp(-(t + part))
    bend = 2 * (math.expm1(part) / part - 1) * (eps_1 - eps)
    x_2, clean_2 = yield x - sigma * (math.expm1(part) * eps + bend), sigma
    eps_2 = (x_2 - clean_2) / sigma
    bend = 3 / 2 * (math.expm1(h) / h - 1) * (eps_2 - eps)
    return x - math.exp(-(t + h)) * (math.expm1(h) * eps + bend)


RELATIVE, ABSOLUTE, FIRST_STEP, ACCEPTED = 0.05, 0.0078, 0.05, 0.81
"""Tolerances (of latents of variance 1 beside the noise), the first step in log sigma, and the
least factor of a step that is accepted: k-diffusion's, and in AUTOMATIC1111's and ComfyUI."""

NOISIEST = 20.0
"""The adaptive steps begin here at the latest: their tolerance is relative to latents with noise,
and at a sigma of hundreds it would allow any error. From there one step of first order is enough:
next to nothing of the image is in such latents."""


def dpm_adaptive(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver-23, adaptive, appendix C of the paper, as in k-diffusion: each step is made in
    order two and three; it is accepted if the two are near, and the next step's width follows from
    their distance. So the number of calls depends on the image."""
    first, end = sigmas[0], -math.log(sigmas[-1] or sigmas[-2])
    if first > NOISIEST:
        x, clean = yield x, first
        x, first = euler_step(clean, x, first, NOISIEST), NOISIEST
    t = -math.log(first)
    if t > end - 1e-5:  # there is no way to go
        x, clean = yield x, first
        return clean
    h, low_before = FIRST_STEP, x
    eps: torch.Tensor | None = None
    while t < end - 1e-5:
        if eps is None:
            sigma = math.exp(-t)
            x, clean = yield x, sigma
            eps = (x - clean) / sigma
        width = min(h, end - t)
        low, high = yield from _two_orders(x, eps, t, width)
        factor = _step_factor(low, high, low_before)
        if factor is None:  # not a number: nothing to adapt to, and it must end
            x, low_before, t, h, eps = high, low, t + width, math.inf, None
            continue
        if factor >= ACCEPTED:
            x, low_before, t, eps = high, low, t + width, None
        h *= factor
    return x


def _two_orders(
    x: torch.Tensor, eps: torch.Tensor, t: float, h: float
) -> Generator[
    tuple[torch.Tensor, float],
    tuple[torch.Tensor, torch.Tensor],
    tuple[torch.Tensor, torch.Tensor],
]:
    """The step over `h` by DPM-Solver-2 and by DPM-Solver-3, in two calls."""
    sigma = math.exp(-(t + h / 3))
    x_1, clean_1 = yield _first_order(x, eps, t, h / 3), sigma
    eps_1 = (x_1 - clean_1) / sigma
    low = _second_order(x, eps, eps_1, t, h, 1 / 3)
    return low, (yield from _third_order(x, eps, eps_1, t, h))


def _step_factor(low: torch.Tensor, high: torch.Tensor, before: torch.Tensor) -> float | None:
    """By how much the next step is wider; None if the latents are not numbers."""
    tolerance = (RELATIVE * torch.maximum(low.abs(), before.abs())).clamp(min=ABSOLUTE)
    distance = float((low - high).div(tolerance).square().mean().sqrt())
    if not math.isfinite(distance):
        return None
    return 1 + math.atan((distance + 1e-8) ** (-1 / 3) - 1)
