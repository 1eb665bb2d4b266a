"""Samplers as their papers and k-diffusion write them, over sigmas, for the exact denoiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from tests.engine.gaussian import Noise, Reference, clean, noise_in


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


def multistep(of: Callable[[float], float], order: int) -> Reference:
    """The polynomial in `of` sigma through the last derivatives."""

    def sample(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
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

    return sample


def plms(order: int) -> Reference:
    """CompVis' plms.py, in its own variables: latents √ᾱ x₀ + √(1 - ᾱ) noise. Its order is 4."""

    def to(x: torch.Tensor, e: torch.Tensor, a: float, b: float) -> torch.Tensor:
        return b**0.5 * (x - (1 - a) ** 0.5 * e) / a**0.5 + (1 - b) ** 0.5 * e

    def predict(x: torch.Tensor, a: float) -> torch.Tensor:
        return noise_in(x / a**0.5, ((1 - a) / a) ** 0.5)

    def sample(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
        alphas = [1 / (1 + s**2) for s in sigmas]
        x = x * alphas[0] ** 0.5
        old: list[torch.Tensor] = []
        for a, b in pairwise(alphas):
            e = predict(x, a)
            if not old and a < 1e-6:  # pure noise, where a derivative says nothing
                mixed = e
            elif not old:
                mixed = (e + predict(to(x, e, a, b), b)) / 2
            elif len(old) == 1:
                mixed = (3 * e - old[-1]) / 2
            elif len(old) == 2 or order == 3:
                mixed = (23 * e - 16 * old[-1] + 5 * old[-2]) / 12
            else:
                mixed = (55 * e - 59 * old[-1] + 37 * old[-2] - 9 * old[-3]) / 24
            old.append(e)
            x = to(x, mixed, a, b)
        return x

    return sample


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


def unipc(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    """Zhao et al. 2023, algorithms 5 and 6, in the form that predicts x₀: UniP-2 and UniC-2, whose
    coefficients solve equation 11 for B₂(h) = e^h - 1."""
    lam = [-math.log(s) if s else math.inf for s in sigmas]
    cleans = [clean(x, sigmas[0])]
    for i in range(1, len(sigmas)):
        s, t = sigmas[i - 1], sigmas[i]
        if t == 0:
            return cleans[-1]
        h = lam[i] - lam[i - 1]
        b = math.expm1(-h)
        first = t / s * x - b * cleans[-1]
        points = [(lam[i - 2] - lam[i - 1]) / h] if i > 1 else []
        deltas = [cleans[-2] - cleans[-1]] if i > 1 else []
        predicted = first
        for r, d in zip(points, deltas, strict=True):  # UniP-2: the one weight is 1/2
            predicted = predicted - b * (1 / 2) * d / r
        now = clean(predicted, t)
        points, deltas = [*points, 1.0], [*deltas, now - cleans[-1]]
        weights = unipc_weights(-h, points) if len(points) > 1 else [1 / 2]
        x = first
        for w, r, d in zip(weights, points, deltas, strict=True):
            x = x - b * w * d / r
        cleans.append(now)
    return x


def unipc_weights(h: float, points: list[float]) -> list[float]:
    """The a of R(h) a = φ(h) / B(h), with φ_k by its recursion."""
    rows, rights = [], []
    phi = math.expm1(h) / h - 1
    for k in range(1, len(points) + 1):
        rows.append([r ** (k - 1) for r in points])
        rights.append(phi * math.factorial(k) / math.expm1(h))
        phi = phi / h - 1 / math.factorial(k + 1)
    solved = torch.linalg.solve(
        torch.tensor(rows, dtype=torch.float64), torch.tensor(rights, dtype=torch.float64)
    )
    return [float(a) for a in solved]


def er_sde(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    """Cui et al. 2023, algorithm 3 (variance exploding) with its integrals by quadrature, and the
    noise scale φ(σ) = σ (e^(σ^0.3) + 10)."""

    def phi(s: float) -> float:
        return float(s * (math.exp(s**0.3) + 10))

    old: list[torch.Tensor] = []
    slope_old = None
    for i, (s, t) in enumerate(pairwise(sigmas)):
        aim = clean(x, s)
        if t == 0:
            return aim
        ratio = phi(t) / phi(s)
        x = ratio * x + (1 - ratio) * aim
        slope = None
        if old:
            slope = (aim - old[-1]) / (s - sigmas[i - 1])
            # x₀(σ) ≈ aim + (σ - s) slope + (σ - s)² / 2 curve, in ∫ φ(t) φ'(σ) / φ(σ)² x₀ dσ
            x = x + (t - s + phi(t) * integral(lambda u: 1 / phi(u), t, s)) * slope
        if slope is not None and slope_old is not None:
            curve = (slope - slope_old) / ((s - sigmas[i - 2]) / 2)
            bend = integral(lambda u, s=s: (u - s) / phi(u), t, s)  # type: ignore[misc]
            x = x + ((t - s) ** 2 / 2 + phi(t) * bend) * curve
        x = x + noise() * math.sqrt(t**2 - s**2 * ratio**2)
        old.append(aim)
        slope_old = slope
    return x


def churned(order: int) -> Reference:
    """Karras et al. 2022, algorithm 2, with S_churn 40, S_min 0.05, S_max 50 and S_noise 1.003;
    the second half of a step only where `order` is 2. No noise before the first step."""

    def sample(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
        steps = len(sigmas) - 1
        for i, (s, t) in enumerate(pairwise(sigmas)):
            gamma = min(40 / steps, math.sqrt(2) - 1) if i and 0.05 <= s <= 50 else 0.0
            hat = s + gamma * s
            if gamma:
                x = x + math.sqrt(hat**2 - s**2) * 1.003 * noise()
            d = noise_in(x, hat)
            end = x + (t - hat) * d
            if order == 2 and t and s < 1000:
                end = x + (t - hat) * (d / 2 + noise_in(end, t) / 2)
            x = end
        return x

    return sample


def restart(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    """Xu et al. 2023, algorithm 1: when the main process reaches t_min, noise takes it back to
    t_max, and it goes down once more. The interval is that of the list within 0.1 and 2."""
    inside = [s for s in sigmas if 0.1 <= s <= 2]
    for s, t in pairwise(sigmas):
        x = heun(x, [s, t], noise)
        if len(inside) > 1 and t == inside[-1]:
            x = x + math.sqrt(inside[0] ** 2 - inside[-1] ** 2) * noise()
            x = heun(x, inside, noise)
    return x


def tcd(levels: torch.Tensor) -> Reference:
    """Zheng et al. 2024, algorithm 4, in its own variables: to timestep s = (1 - γ) t' of
    equation 21, then by noise up to t'. γ is 0.3; `levels` is ᾱ by timestep."""
    logs = ((1 - levels.double()) / levels).sqrt().log().tolist()

    def sample(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
        for s, t in pairwise(sigmas):
            aim = clean(x, s)
            if t == 0:
                return aim
            below = math.exp(interpolate(logs, (1 - 0.3) * locate(logs, math.log(t))))
            below = min(t, below)
            x = aim + below * (x - aim) / s
            a, b = 1 / (1 + below**2), 1 / (1 + t**2)  # ᾱ at s and at t'
            vp = a**0.5 * x
            vp = (b / a) ** 0.5 * vp + (1 - b / a) ** 0.5 * noise()
            x = vp / b**0.5
        return x

    return sample


def lcm(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    """Luo et al. 2023, algorithm 3: the consistency function, and noise up to the next level."""
    for s, t in pairwise(sigmas):
        x = clean(x, s)
        x = x + t * noise() if t else x
    return x


def interpolate(values: Sequence[float], at: float) -> float:
    low = min(int(at), len(values) - 2)
    return values[low] + (at - low) * (values[low + 1] - values[low])


def locate(values: Sequence[float], value: float) -> float:
    for k, (a, b) in enumerate(pairwise(values)):
        if a <= value <= b:
            return k + (value - a) / (b - a)
    return 0.0 if value < values[0] else len(values) - 1.0


def dpm_adaptive(x: torch.Tensor, sigmas: Sequence[float], noise: Noise) -> torch.Tensor:
    """k-diffusion's `dpm_solver_adaptive` of order 3, with its PID controller."""
    first = sigmas[0]
    if first > 20:  # what it was made for; its tolerance is relative to the noise too
        x, first = x + noise_in(x, first) * (20 - first), 20.0
    s, t_end = -math.log(first), -math.log(sigmas[-1] or sigmas[-2])
    x_prev, h = x, 0.05

    def sg(t: float) -> float:
        return math.exp(-t)

    while s < t_end - 1e-5:
        t = min(t_end, s + h)
        eps = noise_in(x, sg(s))
        w = t - s
        s1, s2 = s + w / 3, s + 2 * w / 3
        e1 = noise_in(x - sg(s1) * math.expm1(w / 3) * eps, sg(s1))
        low = x - sg(t) * math.expm1(w) * eps - sg(t) / (2 / 3) * math.expm1(w) * (e1 - eps)
        u2 = x - sg(s2) * math.expm1(2 * w / 3) * eps
        u2 = u2 - sg(s2) * 2 * (math.expm1(2 * w / 3) / (2 * w / 3) - 1) * (e1 - eps)
        e2 = noise_in(u2, sg(s2))
        high = x - sg(t) * math.expm1(w) * eps
        high = high - sg(t) / (2 / 3) * (math.expm1(w) / w - 1) * (e2 - eps)
        delta = torch.maximum(torch.tensor(0.0078), 0.05 * torch.maximum(low.abs(), x_prev.abs()))
        error = float(torch.linalg.norm((low - high) / delta)) / x.numel() ** 0.5
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / 3) - 1)
        if factor >= 0.81:
            x_prev, x, s = low, high, t
        h *= factor
    return x


REFERENCES: dict[str, Reference] = {
    "ddim": euler,
    "plms": plms(4),
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
    "unipc": unipc,
    "er_sde": er_sde,
    "k_euler_churn": churned(1),
    "k_heun_churn": churned(2),
    "restart": restart,
    "lcm": lcm,
    "dpm_adaptive": dpm_adaptive,
}


# ── one run through a scheduler, as a pipeline does it ──────────────────────────────────────────
