"""Samplers, one function an algorithm, in the style of k-diffusion.

Each is a generator. It yields where it wants the network asked, latents x = x₀ + sigma * noise and
sigma; is sent what was seen there, for a mask or a mirror may have changed the latents, and the
clean latents that the network aims at; and returns the latents at the last of the `sigmas`. So a
pipeline can walk it call by call, and what a call costs is known before it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise

import numpy as np
import torch

Walk = Generator[tuple[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor], torch.Tensor]
Noise = Callable[[], torch.Tensor]
"""Fresh noise, of mean 0 and variance 1."""
Solver = Callable[[torch.Tensor, Sequence[float], Noise], Walk]

BOUNDLESS = 1000.0
"""A sigma from here on stands for noise alone (zero terminal SNR). Nothing of the picture is in it,
so that the step away from it is of first order: a derivative there says nothing of the next."""


def toward(clean: torch.Tensor, x: torch.Tensor, sigma: float, to: float) -> torch.Tensor:
    """The latents at another sigma if the clean ones stayed what they are. It is Euler's step, and
    DDIM's, in a form that loses no digits where sigma is large."""
    return clean + (x - clean) * (to / sigma)


def euler(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Euler's method: Karras et al. 2022, arXiv:2206.00364, algorithm 1 without its second half;
    the same as DDIM, Song et al. 2020, arXiv:2010.02502."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        x = toward(clean, x, sigma, to)
    return x


def heun(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Heun's method of second order: Karras et al. 2022, arXiv:2206.00364, algorithm 1."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        guess = toward(clean, x, sigma, to)
        if to == 0 or sigma >= BOUNDLESS:
            x = guess
            continue
        seen, there = yield guess, to
        x = x + ((x - clean) / sigma + (seen - there) / to) * ((to - sigma) / 2)
    return x


def dpm_2(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver-2, Lu et al. 2022, arXiv:2206.00927, with Karras' sigmas, as in k-diffusion: the
    derivative half way in log sigma."""
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        if to == 0 or sigma >= BOUNDLESS:
            x = toward(clean, x, sigma, to)
            continue
        middle = math.sqrt(sigma * to)
        seen, there = yield toward(clean, x, sigma, middle), middle
        x = x + (seen - there) * ((to - sigma) / middle)
    return x


def lms(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Linear multistep of order 4, as Katherine Crowson's in k-diffusion: the polynomial through
    the last derivatives, by sigma; at the start of as many as there are."""
    past: list[torch.Tensor] = []
    for step, (sigma, to) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        past = [(x - clean) / sigma, *past[:3]]
        nodes = np.array([sigmas[step - k] for k in range(len(past))])
        for weight, slope in zip(_lagrange(nodes, sigma, to, _powers), past, strict=True):
            x = x + weight * slope
    return x


def deis(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DEIS of order 3, Zhang and Chen 2022, arXiv:2204.13902: the polynomial through the last
    noises, by log sigma."""
    past: list[torch.Tensor] = []
    for step, (sigma, to) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        past = [(x - clean) / sigma, *past[:2]]
        nodes = np.log([sigmas[step - k] for k in range(len(past))])
        for weight, slope in zip(_lagrange(nodes, sigma, to, _logs), past, strict=True):
            x = x + weight * slope
    return x


Integrals = Callable[[float, float, int], list[float]]


def _lagrange(nodes: np.ndarray, start: float, end: float, integrals: Integrals) -> list[float]:
    """Of each node's Lagrange polynomial, its integral over sigma from `start` to `end`."""
    # Scaled, or powers of large nodes would drown those of small ones.
    scale = float(np.abs(nodes).max()) if integrals is _powers else 1.0
    moments = integrals(start / scale, end / scale, len(nodes))
    found = []
    for k, node in enumerate(nodes / scale):
        others = np.delete(nodes / scale, k)
        basis = np.polynomial.polynomial.polyfromroots(others) / np.prod(node - others)
        found.append(float(np.dot(basis, moments)) * scale)
    return found


def _powers(start: float, end: float, count: int) -> list[float]:
    """∫ sigma^k dsigma, for k below `count`."""
    return [(end ** (k + 1) - start ** (k + 1)) / (k + 1) for k in range(count)]


def _logs(start: float, end: float, count: int) -> list[float]:
    """∫ (log sigma)^k dsigma: by parts, each from the one before; 0 at 0."""

    def up_to(sigma: float) -> list[float]:
        if sigma == 0:
            return [0.0] * count
        found = [sigma]
        for k in range(1, count):
            found.append(sigma * math.log(sigma) ** k - k * found[-1])
        return found

    return [high - low for low, high in zip(up_to(start), up_to(end), strict=True)]


def plms(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """Pseudo linear multistep, Liu et al. 2022, arXiv:2202.09778, as in CompVis' code: Adams and
    Bashforth's weights on the noise, whatever the network predicts; the first step asks twice."""
    weights = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12))
    fourth = (55 / 24, -59 / 24, 37 / 24, -9 / 24)
    past: list[torch.Tensor] = []
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        now = (x - clean) / sigma
        past = [now, *past[:3]]
        if len(past) == 1 and to > 0:
            seen, there = yield toward(clean, x, sigma, to), to
            x = x + (now + (seen - there) / to) * ((to - sigma) / 2)
            continue
        of = weights[len(past) - 1] if len(past) < 4 else fourth
        mixed = sum((w * e for w, e in zip(of, past, strict=True)), torch.zeros_like(x))
        x = x + mixed * (to - sigma)
    return x


def dpmpp_2m(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver++(2M), Lu et al. 2022, arXiv:2211.01095."""
    before: torch.Tensor | None = None
    last = 0.0
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        aim = clean
        if to > 0:
            width = math.log(sigma / to)
            if before is not None:
                aim = clean + (clean - before) * (width / (2 * last))
            last = width
        x = toward(aim, x, sigma, to)
        before = clean
    return x


def unipc(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """UniPC of order 2 with B₂(h), Zhao et al. 2023, arXiv:2302.04867: each call corrects the step
    that led to it, and predicts the next."""
    from_, aims, widths = x, list[torch.Tensor](), list[float]()
    for step, (sigma, to) in enumerate(pairwise(sigmas)):
        x, clean = yield x, sigma
        if step:
            x = _corrected(from_, sigmas[step - 1], sigma, aims, widths, clean)
        width = math.log(sigma / to) if to > 0 else math.inf
        aim = clean
        if aims and to > 0:
            aim = clean + (clean - aims[0]) * (width / (2 * widths[0]))
        from_, aims, widths = x, [clean, *aims[:1]], [width, *widths[:1]]
        x = toward(aim, x, sigma, to)
    return x


def _corrected(
    x: torch.Tensor,
    sigma: float,
    to: float,
    aims: Sequence[torch.Tensor],
    widths: Sequence[float],
    clean: torch.Tensor,
) -> torch.Tensor:
    """UniC: the step once more, with what the network says at its end. `aims` and `widths` begin
    with this step's."""
    h = -widths[0]
    first = math.expm1(h)
    second = first / h - 1
    rights = [second / first, (second / h - 0.5) * 2 / first]
    if len(aims) == 1:
        change = 0.5 * (clean - aims[0])
    else:
        ratio = -widths[1] / widths[0]
        weights = np.linalg.solve(np.array([[1.0, 1.0], [ratio, 1.0]]), np.array(rights))
        change = weights[0] * (aims[1] - aims[0]) / ratio + weights[1] * (clean - aims[0])
    return toward(aims[0], x, sigma, to) - first * change


def res_multistep(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """The refined exponential solver, multistep: Zhang et al. 2023, arXiv:2308.02157."""
    before: torch.Tensor | None = None
    last = 0.0
    for sigma, to in pairwise(sigmas):
        x, clean = yield x, sigma
        if to == 0 or before is None:
            x = toward(clean, x, sigma, to)
            last = math.log(sigma / to) if to > 0 else 0.0
        else:
            h = math.log(sigma / to)
            phi_1 = -math.expm1(-h) / h
            phi_2 = (1 - phi_1) / h
            share = phi_2 * h / last
            x = x * (to / sigma) + h * ((phi_1 + share) * clean - share * before)
            last = h
        before = clean
    return x


def dpm_fast(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> Walk:
    """DPM-Solver-fast, Lu et al. 2022, arXiv:2206.00927: as many calls as there are steps, in
    steps of order three, even in log sigma between the list's ends, and no others of it. It ends
    at the last sigma above 0, as in k-diffusion."""
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


def _dpm_step(x: torch.Tensor, t: float, h: float, order: int) -> Walk:
    """One step of DPM-Solver-1, -2 or -3 over `h` of t = -log sigma."""
    at = [math.exp(-(t + share * h / order)) for share in range(order)]
    end = math.exp(-(t + h))
    x, clean = yield x, at[0]
    e = (x - clean) / at[0]
    if order == 1:
        return x - end * math.expm1(h) * e
    part = h / order
    seen, there = yield x - at[1] * math.expm1(part) * e, at[1]
    e_1 = (seen - there) / at[1]
    if order == 2:
        return x - end * math.expm1(h) * e_1
    part = 2 * h / 3
    bent = 2 * (math.expm1(part) / part - 1) * (e_1 - e)
    seen, there = yield x - at[2] * (math.expm1(part) * e + bent), at[2]
    e_2 = (seen - there) / at[2]
    bent = 3 / 2 * (math.expm1(h) / h - 1) * (e_2 - e)
    return x - end * (math.expm1(h) * e + bent)
