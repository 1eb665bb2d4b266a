"""A denoiser that is exact: of data that are Gaussian, each row of latents with a mean and a
variance of its own. What a sampler does with it, can be compared with what its paper says."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from dream.engine.silence_libraries import silence_libraries

VARIANCES = torch.tensor([0.01, 0.1, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64).view(1, -1, 1)
MEANS = torch.tensor([0.0, 0.3, -0.5, 1.0, 0.0, -1.5], dtype=torch.float64).view(1, -1, 1)
SPREAD = VARIANCES.sqrt()

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CONFIGS: dict[str, dict[str, Any]] = {
    "epsilon": {**BETAS, "prediction_type": "epsilon", "steps_offset": 1},
    "v": {**BETAS, "prediction_type": "v_prediction", "steps_offset": 1},
    "zero snr": {
        **BETAS,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "leading",
        "steps_offset": 1,
    },
}

Noise = Callable[[], torch.Tensor]
Walk = Callable[[torch.Tensor, Sequence[float], Noise], torch.Tensor]


def draws(seed: int, count: int) -> torch.Tensor:
    return torch.randn(1, 6, count, generator=torch.Generator().manual_seed(seed))


def clean(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """What latents x₀ + sigma * noise clear up to, on average."""
    return MEANS + VARIANCES / (VARIANCES + sigma**2) * (x - MEANS)


def noise_in(x: torch.Tensor, sigma: float) -> torch.Tensor:
    return (x - clean(x, sigma)) / sigma


def exact(x: torch.Tensor, sigma: float, to: float = 0.0) -> torch.Tensor:
    """Where the probability flow leads: Song et al. 2021, arXiv:2011.13456, for Gaussian data."""
    return MEANS + (x - MEANS) * ((VARIANCES + to**2) / (VARIANCES + sigma**2)).sqrt()


@dataclass
class Network:
    """It sees latents of variance 1, and says what a model with this configuration would."""

    scheduler: Any
    prediction: str
    calls: int = 0

    def __call__(self, seen: torch.Tensor, sigma: float) -> torch.Tensor:
        self.calls += 1
        kept = 1 / math.sqrt(sigma**2 + 1)
        x = seen.double() / kept
        aim = clean(x, sigma)
        noise = (x - aim) / sigma
        if self.prediction == "epsilon":
            return noise.float()
        return (kept * noise - sigma * kept * aim).float()


# ── the algorithms, as their papers and k-diffusion have them ───────────────────────────────────


def euler(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        x = x + noise_in(x, s) * (t - s)
    return x


def down_and_up(s: float, t: float) -> tuple[float, float]:
    up = min(t, (t**2 * (s**2 - t**2) / s**2) ** 0.5)
    return (t**2 - up**2) ** 0.5, up


def euler_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        down, up = down_and_up(s, t)
        x = x + noise_in(x, s) * (down - s)
        x = x + noise() * up if t else x
    return x


def heun(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        d = noise_in(x, s)
        if t and s < 1000:
            d = (d + noise_in(x + d * (t - s), t)) / 2
        x = x + d * (t - s)
    return x


def dpm_2(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        d = noise_in(x, s)
        if t and s < 1000:
            middle = math.exp((math.log(s) + math.log(t)) / 2)
            d = noise_in(x + d * (middle - s), middle)
        x = x + d * (t - s)
    return x


def dpm_2_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        down, up = down_and_up(s, t)
        d = noise_in(x, s)
        if down and s < 1000:
            middle = math.exp((math.log(s) + math.log(down)) / 2)
            d = noise_in(x + d * (middle - s), middle)
        x = x + d * (down - s)
        x = x + noise() * up if t else x
    return x


def integral(f: Callable[[float], float], start: float, end: float) -> float:
    from scipy.integrate import quad

    return float(quad(f, start, end, epsrel=1e-8, limit=200)[0])


def multistep(of: Callable[[float], float], order: int) -> Walk:
    """The polynomial in `of` sigma through the last derivatives."""

    def walk(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
        past: list[torch.Tensor] = []
        for i, (s, t) in enumerate(pairwise(sigmas)):
            past = [noise_in(x, s), *past][:order]
            nodes = [of(sigmas[i - k]) for k in range(len(past))]

            def basis(tau: float, j: int, nodes: list[float] = nodes) -> float:
                found = 1.0
                for k, node in enumerate(nodes):
                    if k != j:
                        found *= (of(max(tau, 1e-300)) - node) / (nodes[j] - node)
                return found

            for j, d in enumerate(past):
                x = x + integral(lambda tau, j=j: basis(tau, j), s, t) * d  # type: ignore[misc]
        return x

    return walk


def plms(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    """CompVis' plms.py, in its own variables: latents √ᾱ x₀ + √(1 - ᾱ) noise."""
    alphas = [1 / (1 + s**2) for s in sigmas]

    def to(x: torch.Tensor, e: torch.Tensor, a: float, b: float) -> torch.Tensor:
        return b**0.5 * (x - (1 - a) ** 0.5 * e) / a**0.5 + (1 - b) ** 0.5 * e

    def said(x: torch.Tensor, a: float) -> torch.Tensor:
        return noise_in(x / a**0.5, ((1 - a) / a) ** 0.5)

    x = x * alphas[0] ** 0.5
    old: list[torch.Tensor] = []
    for a, b in pairwise(alphas):
        e = said(x, a)
        if not old:
            mixed = (e + said(to(x, e, a, b), b)) / 2
        elif len(old) == 1:
            mixed = (3 * e - old[-1]) / 2
        elif len(old) == 2:
            mixed = (23 * e - 16 * old[-1] + 5 * old[-2]) / 12
        else:
            mixed = (55 * e - 59 * old[-1] + 37 * old[-2] - 9 * old[-3]) / 24
        old.append(e)
        x = to(x, mixed, a, b)
    return x


def dpmpp_2m(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    lam = [-math.log(s) if s else math.inf for s in sigmas]
    old = None
    for i, (s, t) in enumerate(pairwise(sigmas)):
        aim, h = clean(x, s), lam[i + 1] - lam[i]
        d = aim
        if old is not None and t:
            r = (lam[i] - lam[i - 1]) / h
            d = (1 + 1 / (2 * r)) * aim - 1 / (2 * r) * old
        x, old = t / s * x - math.expm1(-h) * d, aim
    return x


def dpmpp_2s_ancestral(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        aim = clean(x, s)
        down, up = down_and_up(s, t)
        if down == 0 or s >= 1000:
            x = x + (x - aim) / s * (down - s)
        else:
            h = math.log(s / down)
            middle = s * math.exp(-h / 2)
            half = middle / s * x - math.expm1(-h / 2) * aim
            x = down / s * x - math.expm1(-h) * clean(half, middle)
        x = x + noise() * up if t else x
    return x


def dpmpp_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    for s, t in pairwise(sigmas):
        aim = clean(x, s)
        if t == 0:
            return aim
        if s >= 1000:
            down, up = down_and_up(s, t)
            x = aim + (x - aim) * down / s + noise() * up
            continue
        middle = math.exp((math.log(s) + math.log(t)) / 2)
        first, second = noise(), noise()
        down, up = down_and_up(s, middle)
        half = down / s * x - math.expm1(-math.log(s / down)) * aim + first * up
        path = first * (s - middle) ** 0.5 + second * (middle - t) ** 0.5
        down, up = down_and_up(s, t)
        x = down / s * x - math.expm1(-math.log(s / down)) * clean(half, middle)
        x = x + path / (s - t) ** 0.5 * up
    return x


def dpmpp_2m_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    old, last = None, 0.0
    for s, t in pairwise(sigmas):
        aim = clean(x, s)
        if t == 0:
            return aim
        h = math.log(s / t)
        x = t / s * math.exp(-h) * x - math.expm1(-2 * h) * aim
        if old is not None:
            x = x - 0.5 * math.expm1(-2 * h) * (h / last) * (aim - old)
        x = x + noise() * t * (-math.expm1(-2 * h)) ** 0.5
        old, last = aim, h
    return x


def dpmpp_3m_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    one = two = None
    h_1 = h_2 = 0.0
    for s, t in pairwise(sigmas):
        aim = clean(x, s)
        if t == 0:
            return aim
        h = math.log(s / t)
        eta = 2 * h
        x = math.exp(-eta) * x - math.expm1(-eta) * aim
        phi_2 = math.expm1(-eta) / eta + 1
        phi_3 = phi_2 / eta - 0.5
        if one is not None and two is not None:
            r_0, r_1 = h_1 / h, h_2 / h
            d_10, d_11 = (aim - one) / r_0, (one - two) / r_1
            d_1 = d_10 + (d_10 - d_11) * r_0 / (r_0 + r_1)
            x = x + phi_2 * d_1 - phi_3 * (d_10 - d_11) / (r_0 + r_1)
        elif one is not None:
            x = x + phi_2 * (aim - one) / (h_1 / h)
        x = x + noise() * t * (-math.expm1(-2 * h)) ** 0.5
        one, two, h_1, h_2 = aim, one, h, h_1
    return x


def res_multistep(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    old = None
    for i, (s, t) in enumerate(pairwise(sigmas)):
        aim = clean(x, s)
        if t == 0 or old is None:
            x = x + (x - aim) / s * (t - s)
        else:
            h = math.log(s / t)
            c_2 = -math.log(sigmas[i - 1] / s) / h
            phi_1 = math.expm1(-h) / -h
            phi_2 = (phi_1 - 1) / -h
            x = math.exp(-h) * x + h * ((phi_1 - phi_2 / c_2) * aim + phi_2 / c_2 * old)
        old = aim
    return x


def dpm_fast(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    calls = len(sigmas) - 1
    last = sigmas[-1] or sigmas[-2]
    count = calls // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if calls % 3 == 0 else [3] * (count - 1) + [calls % 3]
    times = torch.linspace(-math.log(sigmas[0]), -math.log(last), count + 1, dtype=torch.float64)

    def sg(t: float) -> float:
        return math.exp(-t)

    for order, (t, n) in zip(orders, pairwise(times.tolist()), strict=True):
        h, e = n - t, noise_in(x, sg(t))
        if order == 1:
            x = x - sg(n) * math.expm1(h) * e
        elif order == 2:
            s1 = t + h / 2
            e1 = noise_in(x - sg(s1) * math.expm1(h / 2) * e, sg(s1))
            x = x - sg(n) * math.expm1(h) * e - sg(n) * math.expm1(h) * (e1 - e)
        else:
            r1, r2 = 1 / 3, 2 / 3
            s1, s2 = t + r1 * h, t + r2 * h
            e1 = noise_in(x - sg(s1) * math.expm1(r1 * h) * e, sg(s1))
            u2 = x - sg(s2) * math.expm1(r2 * h) * e
            u2 = u2 - sg(s2) * (r2 / r1) * (math.expm1(r2 * h) / (r2 * h) - 1) * (e1 - e)
            e2 = noise_in(u2, sg(s2))
            x = x - sg(n) * math.expm1(h) * e - sg(n) / r2 * (math.expm1(h) / h - 1) * (e2 - e)
    return x


REFERENCES: dict[str, Walk] = {
    "ddim": euler,
    "plms": plms,
    "k_lms": multistep(lambda s: s, 4),
    "k_euler": euler,
    "k_euler_a": euler_ancestral,
    "k_heun": heun,
    "k_dpm_2": dpm_2,
    "k_dpm_2_a": dpm_2_ancestral,
    "k_dpmpp_2": dpmpp_2m,
    "k_dpmpp_2_a": dpmpp_2s_ancestral,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_karras": dpmpp_2m,
    "dpmpp_sde": dpmpp_sde,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "deis": multistep(math.log, 3),
    "ddpm": euler_ancestral,
    "dpmpp_3m_sde": dpmpp_3m_sde,
    "dpm_fast": dpm_fast,
    "res_multistep": res_multistep,
}


# ── a walk through a scheduler, as a pipeline does it ───────────────────────────────────────────


@dataclass(frozen=True)
class Walked:
    """What a scheduler made of noise, or of an image."""

    x: torch.Tensor
    start: torch.Tensor
    """Latents x₀ + sigma * noise that the walk began from, in float64."""
    sigmas: list[float]
    """Where the network was asked, call by call."""
    calls: int


def walked(
    scheduler: Any,
    config: dict[str, Any],
    steps: int,
    noise: torch.Tensor,
    *,
    picture: torch.Tensor | None = None,
    skipped: int = 0,
    mask: torch.Tensor | None = None,
    seed: int = 5,
) -> Walked:
    """`image` are clean latents; where `mask` is 0, they are laid back after every call, as
    noisy as it is then."""
    with silence_libraries():
        scheduler.set_timesteps(steps)
    network = Network(scheduler, config["prediction_type"])
    source = torch.Generator().manual_seed(seed)
    at = scheduler.timesteps[skipped * scheduler.order :]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped * scheduler.order)
    level = scheduler.alphas_cumprod.double()
    own = [float(((1 - level[int(t)]) / level[int(t)]) ** 0.5) for t in at]
    sigmas = list(scheduler._calls) if hasattr(scheduler, "_calls") else own
    if hasattr(scheduler, "sigmas") and not hasattr(scheduler, "_calls"):
        sigmas = [float(s) for s in scheduler.sigmas[skipped:-1]]
    x = noise * scheduler.init_noise_sigma
    if picture is not None:
        x = scheduler.add_noise(picture, noise, at[:1])
    start = None
    takes = "generator" in inspect.signature(scheduler.step).parameters
    asked = {"generator": source} if takes else {}
    for i, (t, sigma) in enumerate(zip(at, sigmas, strict=True)):
        seen = scheduler.scale_model_input(x, t)
        if start is None:
            start = seen.double() * math.sqrt(sigma**2 + 1)
        x = scheduler.step(network(seen, sigma), t, x, **asked).prev_sample
        if mask is not None and picture is not None and i + 1 < len(at):
            kept = scheduler.add_noise(picture, noise, at[i + 1][None])
            x = torch.where(mask.bool(), x, kept)
    assert start is not None
    return Walked(x.double(), start, sigmas, network.calls)
