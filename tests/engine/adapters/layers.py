"""Made-up tensors of every kind of LoRA for one layer, and the dense difference that each stands
for, computed from the papers' formulas in float64, entry by entry where that says more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Leaves = dict[str, torch.Tensor]
Dense = np.ndarray[Any, np.dtype[np.float64]]

ALPHA = 2.0


def draw(*shape: int, seed: int = 0, scale: float = 0.3) -> torch.Tensor:
    """Numbers of a size that float32 sums without loss of meaning."""
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def dense(tensor: torch.Tensor) -> Dense:
    """In float64."""
    return tensor.double().numpy()


def lora(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """Rank 3, alpha 2."""
    outs, ins = len(weight), weight[0].numel()
    down, up = draw(3, ins, seed=1), draw(outs, 3, seed=2)
    wide = {"down": down.reshape(3, *weight.shape[1:]), "up": up}
    if weight.ndim == 4:
        wide["up"] = up[..., None, None]
    product = dense(up) @ dense(down) * (ALPHA / 3)
    return {**wide, "alpha": torch.tensor(ALPHA)}, product.reshape(weight.shape)


def lora_without_alpha(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """Then the scale is 1."""
    leaves, product = lora(weight)
    del leaves["alpha"]
    return leaves, product * 3 / ALPHA


def locon_with_core(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """A convolution of 3x3 in a core of rank 2."""
    outs, ins, height, width = weight.shape
    up, down, mid = draw(outs, 2, 1, 1), draw(2, ins, 1, 1, seed=1), draw(2, 2, 3, 3, seed=2)
    total = np.zeros(weight.shape)
    for m in range(2):
        for n in range(2):
            pair = np.outer(dense(up)[:, m, 0, 0], dense(down)[n, :, 0, 0])
            total += pair[..., None, None] * dense(mid)[m, n]
    assert (height, width) == (3, 3)
    leaves = {"up": up, "down": down, "mid": mid, "alpha": torch.tensor(ALPHA)}
    return leaves, total * ALPHA / 2


def loha(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """Rank 2."""
    outs, ins = len(weight), weight[0].numel()
    leaves = {
        f"hada_w{n}_{side}": draw(*shape, seed=seed)
        for seed, (n, side, shape) in enumerate(
            [
                ("1", "a", (outs, 2)),
                ("1", "b", (2, ins)),
                ("2", "a", (outs, 2)),
                ("2", "b", (2, ins)),
            ]
        )
    }
    first = dense(leaves["hada_w1_a"]) @ dense(leaves["hada_w1_b"])
    second = dense(leaves["hada_w2_a"]) @ dense(leaves["hada_w2_b"])
    total = (first * second).reshape(weight.shape) * ALPHA / 2
    return {**leaves, "alpha": torch.tensor(ALPHA)}, total


def loha_with_core(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """A convolution, each half in a core: out × in is a sum over both inner indices."""
    outs, ins, *_ = weight.shape
    leaves: Leaves = {"alpha": torch.tensor(ALPHA)}
    product = np.ones(weight.shape)
    for n in "12":
        core, a, b = draw(2, 2, 3, 3, seed=int(n)), draw(2, outs, seed=3), draw(2, ins, seed=4)
        leaves |= {f"hada_t{n}": core, f"hada_w{n}_a": a, f"hada_w{n}_b": b}
        half = np.zeros(weight.shape)
        for i in range(2):
            for j in range(2):
                pair = np.outer(dense(a)[i], dense(b)[j])
                half += pair[..., None, None] * dense(core)[i, j]
        product *= half
    return leaves, product * ALPHA / 2


def lokr(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """Both factors whole: no scale, whatever alpha is."""
    first = draw(4, 2)
    second = draw(len(weight) // 4, weight.shape[1] // 2, *weight.shape[2:], seed=1)
    a, b = dense(first), dense(second)
    total = np.zeros(weight.shape)
    rows, columns = b.shape[:2]
    for i in range(4):
        for j in range(2):
            place = slice(i * rows, (i + 1) * rows), slice(j * columns, (j + 1) * columns)
            total[place] = a[i, j] * b
    return {"lokr_w1": first, "lokr_w2": second, "alpha": torch.tensor(ALPHA)}, total


def lokr_of_factors(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """The second factor is itself of rank 2."""
    first = draw(4, 2)
    a, b = draw(len(weight) // 4, 2, seed=1), draw(2, weight[0].numel() // 2, seed=2)
    second = (a @ b).reshape(len(weight) // 4, weight.shape[1] // 2, *weight.shape[2:])
    inner = dense(a) @ dense(b)
    shaped = inner.reshape(second.shape)
    kron = np.zeros(weight.shape)
    rows, columns = second.shape[:2]
    for i in range(4):
        for j in range(2):
            place = slice(i * rows, (i + 1) * rows), slice(j * columns, (j + 1) * columns)
            kron[place] = dense(first)[i, j] * shaped
    wide = b.reshape(2, weight.shape[1] // 2, *weight.shape[2:])
    leaves = {"lokr_w1": first, "lokr_w2_a": a, "lokr_w2_b": wide, "alpha": torch.tensor(ALPHA)}
    return leaves, kron * ALPHA / 2


def dora(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """kohya's: one magnitude for each input."""
    leaves, delta = lora(weight)
    magnitude = 1 + draw(1, weight.shape[1], *[1] * (weight.ndim - 2), seed=5).abs()
    whole = dense(weight) + delta
    axes = (0, *range(2, weight.ndim))
    norm = np.sqrt((whole**2).sum(axis=axes, keepdims=True))
    return {**leaves, "dora_scale": magnitude}, whole * dense(magnitude) / norm - dense(weight)


def dora_of_peft(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """One magnitude for each output."""
    leaves, delta = lora(weight)
    magnitude = 1 + draw(len(weight), seed=5).abs()
    whole = dense(weight) + delta
    axes = tuple(range(1, weight.ndim))
    norm = np.sqrt((whole**2).sum(axis=axes, keepdims=True))
    factor = dense(magnitude).reshape(-1, *[1] * (weight.ndim - 1)) / norm
    return {**leaves, "magnitude": magnitude}, whole * factor - dense(weight)


def ia3(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """A factor for each output."""
    factors = draw(len(weight))
    total = np.stack([dense(weight)[i] * float(factors[i]) for i in range(len(weight))])
    return {"ia3": factors, "on_input": torch.tensor(False)}, total


def ia3_on_input(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """A factor for each input."""
    factors = draw(weight.shape[1])
    total = dense(weight).copy()
    for i in range(weight.shape[1]):
        total[:, i] *= float(factors[i])
    return {"ia3": factors, "on_input": torch.tensor(True)}, total


def oft(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """Four blocks, rotated: R = (1 + Q)(1 - Q)⁻¹ with Q = B - Bᵀ; rows n of W go to rows m."""
    size = len(weight) // 4
    blocks = draw(4, size, size, scale=0.1)
    total = dense(weight).copy().reshape(4, size, -1)
    for k in range(4):
        q = dense(blocks)[k] - dense(blocks)[k].T
        rotation = (np.eye(size) + q) @ np.linalg.inv(np.eye(size) - q)
        assert np.allclose(rotation @ rotation.T, np.eye(size))
        total[k] = rotation.T @ total[k]
    return {"oft_blocks": blocks}, total.reshape(weight.shape) - dense(weight)


def full(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """The difference itself."""
    delta = draw(*weight.shape)
    return {"diff": delta}, dense(delta)


def norm(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """LyCORIS's name for the same of a norm."""
    delta = draw(*weight.shape)
    return {"w_norm": delta}, dense(delta)


def glora(weight: torch.Tensor) -> tuple[Leaves, Dense]:
    """W·A₂·A₁ + B₂·B₁."""
    outs, ins = len(weight), weight[0].numel()
    a1, a2 = draw(2, ins), draw(ins, 2, seed=1)
    b1, b2 = draw(2, ins, seed=2), draw(outs, 2, seed=3)
    flat = dense(weight).reshape(outs, -1)
    total = (dense(b2) @ dense(b1) + flat @ dense(a2) @ dense(a1)) * ALPHA / 2
    leaves = {"glora_a1": a1, "glora_a2": a2, "glora_b1": b1, "glora_b2": b2}
    return {**leaves, "alpha": torch.tensor(ALPHA)}, total.reshape(weight.shape)


Make = Callable[[torch.Tensor], tuple[Leaves, Dense]]

FOR_ALL: tuple[Make, ...] = (
    *(lora, lora_without_alpha, loha, lokr, lokr_of_factors, dora, dora_of_peft),
    *(ia3, ia3_on_input, oft, full, glora),
)
"""For linear layers and convolutions."""
FOR_CONVOLUTIONS: tuple[Make, ...] = (locon_with_core, loha_with_core)
FOR_NORMS: tuple[Make, ...] = (norm,)
