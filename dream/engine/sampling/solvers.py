"""Samplers without noise, one function per algorithm, in the style of k-diffusion.

Each is a generator. It yields the latents x = x₀ + sigma * noise and the sigma at which the network
is to be called. It is sent the latents that the network saw (a mask or symmetry may have changed
them) and the clean latents x₀ that the network predicts. It returns the latents at the last of
`sigmas`. So a pipeline runs it call by call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch

SolverRun = Generator[tuple[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor], torch.Tensor]
Noise = Callable[[], torch.Tensor]
"""Draws fresh noise, of mean 0 and variance 1."""
Solver = Callable[[torch.Tensor, Sequence[float], Noise], SolverRun]
"""Latents at the first sigma, falling sigmas, and the noise."""

PURE_NOISE = 1000.0
"""From this sigma on, latents are noise alone (zero terminal SNR). The step away from there is of
first order: a derivative of pure noise says nothing about the next one."""


def euler_step(
    clean: torch.Tensor, x: torch.Tensor, sigma: float, next_sigma: float
) -> torch.Tensor:
    """The latents at another sigma if the clean ones stay as they are: Euler's step, and DDIM's,
    in a form that loses no digits where sigma is large."""
    return clean + (x - clean) * (next_sigma / sigma)


def euler(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """Euler's method: Karras et al. 2022, arXiv:2206.00364, algorithm 1 without its second half;
    the same as DDIM, Song et al. 2020, arXiv:2010.02502."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        x = euler_step(clean, x, sigma, next_sigma)
    return x


def heun(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """Heun's method of second order: Karras et al. 2022, arXiv:2206.00364, algorithm 1."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        end = euler_step(clean, x, sigma, next_sigma)
        if next_sigma == 0 or sigma >= PURE_NOISE:
            x = end
            continue
        end, clean_end = yield end, next_sigma
        slopes = (x - clean) / sigma + (end - clean_end) / next_sigma
        x = x + slopes * ((next_sigma - sigma) / 2)
    return x


def dpm_2(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver-2, Lu et al. 2022, arXiv:2206.00927, with Karras' sigmas, as in k-diffusion: the
    derivative at the middle in log sigma."""
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        if next_sigma == 0 or sigma >= PURE_NOISE:
            x = euler_step(clean, x, sigma, next_sigma)
            continue
        middle = math.sqrt(sigma * next_sigma)
        x_mid, clean_mid = yield euler_step(clean, x, sigma, middle), middle
        x = x + (x_mid - clean_mid) * ((next_sigma - sigma) / middle)
    return x


def lms(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """Linear multistep of order 4, as Katherine Crowson's in k-diffusion: the polynomial in sigma
    through the last derivatives; the first steps have fewer of them."""
    slopes: list[torch.Tensor] = []
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        slopes = [(x - clean) / sigma, *slopes[:3]]
        nodes = np.array([sigmas[step - k] for k in range(len(slopes))])
        weights = _lagrange_weights(nodes, sigma, next_sigma, _power_integrals)
        for weight, slope in zip(weights, slopes, strict=True):
            x = x + weight * slope
    return x


def deis(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DEIS of order 3, Zhang and Chen 2022, arXiv:2204.13902: the polynomial in log sigma through
    the last noise predictions."""
    slopes: list[torch.Tensor] = []
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        slopes = [(x - clean) / sigma, *slopes[:2]]
        nodes = np.log([sigmas[step - k] for k in range(len(slopes))])
        weights = _lagrange_weights(nodes, sigma, next_sigma, _log_integrals)
        for weight, slope in zip(weights, slopes, strict=True):
            x = x + weight * slope
    return x


Integrals = Callable[[float, float, int], list[float]]


def _lagrange_weights(
    nodes: np.ndarray, start: float, end: float, integrals: Integrals
) -> list[float]:
    """The integral over sigma, from `start` to `end`, of each node's Lagrange polynomial."""
    # Scaled, because powers of large nodes would drown those of small ones.
    scale = float(np.abs(nodes).max()) if integrals is _power_integrals else 1.0
    moments = integrals(start / scale, end / scale, len(nodes))
    weights = []
    for k, node in enumerate(nodes / scale):
        others = np.delete(nodes / scale, k)
        basis = np.polynomial.polynomial.polyfromroots(others) / np.prod(node - others)
        weights.append(float(np.dot(basis, moments)) * scale)
    return weights


def _power_integrals(start: float, end: float, count: int) -> list[float]:
    """∫ sigma^k dsigma, for k below `count`."""
    return [(end ** (k + 1) - start ** (k + 1)) / (k + 1) for k in range(count)]


def _log_integrals(start: float, end: float, count: int) -> list[float]:
    """∫ (log sigma)^k dsigma, for k below `count`: each by parts from the one before; 0 at 0."""

    def integrate_to(sigma: float) -> list[float]:
        if sigma == 0:
            return [0.0] * count
        values = [sigma]
        for k in range(1, count):
            values.append(sigma * math.log(sigma) ** k - k * values[-1])
        return values

    return [b - a for a, b in zip(integrate_to(start), integrate_to(end), strict=True)]


def plms(x: torch.Tensor, sigmas: Sequence[float], noise: Noise, *, order: int = 4) -> SolverRun:
    """Pseudo linear multistep, Liu et al. 2022, arXiv:2202.09778, as in CompVis' code: Adams and
    Bashforth's weights on the noise, whatever the network predicts; the first step takes two
    calls, except from pure noise."""
    weights = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12))
    fourth = (55 / 24, -59 / 24, 37 / 24, -9 / 24)
    slopes: list[torch.Tensor] = []
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        slope = (x - clean) / sigma
        slopes = [slope, *slopes[: order - 1]]
        if len(slopes) == 1 and next_sigma > 0 and sigma < PURE_NOISE:
            end, clean_end = yield euler_step(clean, x, sigma, next_sigma), next_sigma
            x = x + (slope + (end - clean_end) / next_sigma) * ((next_sigma - sigma) / 2)
            continue
        factors = weights[len(slopes) - 1] if len(slopes) < 4 else fourth
        mean = sum((w * e for w, e in zip(factors, slopes, strict=True)), torch.zeros_like(x))
        x = x + mean * (next_sigma - sigma)
    return x


plms_3: Solver = partial(plms, order=3)
"""From an image, where the prediction changes most at once: there the fourth order, whose weights
are those of equal steps, extrapolates too far, and leaves coloured stains at 20 steps."""


def dpmpp_2m(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """DPM-Solver++(2M), Lu et al. 2022, arXiv:2211.01095."""
    previous: torch.Tensor | None = None
    last_h = 0.0
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        target = clean
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            if previous is not None:
                target = clean + (clean - previous) * (h / (2 * last_h))
            last_h = h
        x = euler_step(target, x, sigma, next_sigma)
        previous = clean
    return x


def unipc(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """UniPC of order 2 with B₂(h), Zhao et al. 2023, arXiv:2302.04867: each call corrects the step
    that led to it, and predicts the next."""
    start, cleans, widths = x, list[torch.Tensor](), list[float]()
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        if step:
            x = _correct(start, sigmas[step - 1], sigma, cleans, widths, clean)
        h = math.log(sigma / next_sigma) if next_sigma > 0 else math.inf
        target = clean
        if cleans and next_sigma > 0:
            target = clean + (clean - cleans[0]) * (h / (2 * widths[0]))
        start, cleans, widths = x, [clean, *cleans[:1]], [h, *widths[:1]]
        x = euler_step(target, x, sigma, next_sigma)
    return x


def _correct(
    x: torch.Tensor,
    sigma: float,
    next_sigma: float,
    cleans: Sequence[torch.Tensor],
    widths: Sequence[float],
    clean: torch.Tensor,
) -> torch.Tensor:
    """UniC: the step from sigma to next_sigma again, with `clean`, what the network predicts at its
    end. `cleans` and `widths` (in log sigma) are of this step and the one before it, if any."""
    h = -widths[0]
    phi_1 = math.expm1(h)
    phi_2 = phi_1 / h - 1
    rights = [phi_2 / phi_1, (phi_2 / h - 0.5) * 2 / phi_1]
    if len(cleans) == 1:
        change = 0.5 * (clean - cleans[0])
    else:
        ratio = -widths[1] / widths[0]
        weights = np.linalg.solve(np.array([[1.0, 1.0], [ratio, 1.0]]), np.array(rights))
        change = weights[0] * (cleans[1] - cleans[0]) / ratio + weights[1] * (clean - cleans[0])
    return euler_step(cleans[0], x, sigma, next_sigma) - phi_1 * change


def res_multistep(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> SolverRun:
    """The refined exponential solver, multistep: Zhang et al. 2023, arXiv:2308.02157."""
    previous: torch.Tensor | None = None
    last_h = 0.0
    for sigma, next_sigma in pairwise(sigmas):
        x, clean = yield x, sigma
        if next_sigma == 0 or previous is None:
            x = euler_step(clean, x, sigma, next_sigma)
            last_h = math.log(sigma / next_sigma) if next_sigma > 0 else 0.0
        else:
            h = math.log(sigma / next_sigma)
            phi_1 = -math.expm1(-h) / h
            phi_2 = (1 - phi_1) / h
            share = phi_2 * h / last_h
            x = x * (next_sigma / sigma) + h * ((phi_1 + share) * clean - share * previous)
            last_h = h
        previous = clean
    return x
