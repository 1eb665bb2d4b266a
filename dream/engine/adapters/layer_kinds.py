"""Computes what a LoRA, or a file of a related kind, adds to the weight of one layer.

Each kind is a function from the file's tensors for a layer, and the layer's original weight, to a
difference in float32, at weight 1. The formulas are those of LyCORIS (Yeh et al. 2023,
arXiv:2309.14859) and of the papers named at each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from dream.engine.adapters.layer_shapes import UnsupportedLayer, check_shapes, describe_shapes
from dream.engine.memory.low_memory import is_out_of_memory

Leaves = Mapping[str, Tensor]
"""See `layer_names.Leaves`."""


class Difference(NamedTuple):
    """What is added to a layer, in float32; None is nothing."""

    weight: Tensor | None
    """Of the shape of the layer's weight."""
    bias: Tensor | None = None


def compute_difference(leaves: Leaves, weight: Tensor) -> Difference:
    """What these tensors add to a layer. weight: the layer's original weight, float32, of any
    shape. Raises UnsupportedLayer; for tensors of other shapes before anything is computed."""
    check_shapes(leaves, weight)
    try:
        delta, bias = _weight_difference(leaves, weight), _bias_difference(leaves)
    except (RuntimeError, ValueError, IndexError) as error:  # torch's words for other shapes
        if is_out_of_memory(error):
            raise
        raise UnsupportedLayer(describe_shapes(leaves, weight)) from error
    if delta is not None and delta.shape != weight.shape:
        raise UnsupportedLayer(describe_shapes(leaves, weight))
    if delta is None and bias is None:
        raise UnsupportedLayer(f"contains only {', '.join(sorted(leaves))}")
    return Difference(delta, bias)


def get_low_rank(leaves: Leaves, weight: Tensor) -> tuple[Tensor, Tensor, float] | None:
    """(up, down, scale) as matrices, if that is all that is added to the weight: the difference is
    up @ down · scale. None for other kinds. Saves a matrix of the weight's size. The shapes are
    those that `check_shapes` lets pass."""
    up, down = leaves.get("up"), leaves.get("down")
    if up is None or down is None or leaves.keys() - {"up", "down", "alpha"}:
        return None
    up, down = up.float().flatten(1), down.float().flatten(1)
    if up.shape[1] != down.shape[0] or (len(up), down.shape[1]) != (len(weight), _width(weight)):
        return None
    return up, down, get_scale(leaves)


def get_scale(leaves: Leaves) -> float:
    """alpha / rank; 1 for a layer without alpha or rank."""
    alpha, rank = leaves.get("alpha"), _rank(leaves)
    scale = float(alpha) / rank if alpha is not None and rank else 1.0
    return scale * float(leaves["scalar"]) if "scalar" in leaves else scale


def _width(weight: Tensor) -> int:
    return weight[0].numel() if weight.ndim else 1


def _rank(leaves: Leaves) -> int:
    """The inner dimension; of LoKr, if both factors are whole, 0."""
    rows = ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b", "glora_b1")
    return next((len(leaves[name]) for name in rows if name in leaves), 0)


def _weight_difference(leaves: Leaves, weight: Tensor) -> Tensor | None:
    leaves = {name: tensor.to(weight.device) for name, tensor in leaves.items()}
    delta = None
    for names, kind in _KINDS.items():
        if all(name in leaves for name in names):
            delta = kind(leaves, weight)
            break
    for name in ("w_norm", "diff"):
        if name in leaves:
            whole = leaves[name].float().reshape(weight.shape)
            delta = whole if delta is None else delta + whole
    if delta is not None and ("dora_scale" in leaves or "magnitude" in leaves):
        delta = _decomposed(leaves, weight, delta)
    return delta


def _bias_difference(leaves: Leaves) -> Tensor | None:
    bias = None
    if "up_bias" in leaves:
        bias = leaves["up_bias"].float().flatten() * get_scale(leaves)
    for name in ("diff_b", "b_norm"):
        if name in leaves:
            bias = leaves[name].float().flatten() + (0 if bias is None else bias)
    return bias


def _lora(leaves: Leaves, weight: Tensor) -> Tensor:
    """LoRA: Hu et al. 2021, arXiv:2106.09685; of convolutions, LoCon, also with a core."""
    up, down, scale = leaves["up"].float(), leaves["down"].float(), get_scale(leaves)
    if "mid" in leaves:
        mid = leaves["mid"].float()
        whole = torch.einsum("mnwh,im,nj->ijwh", mid, up.flatten(1), down.flatten(1))
    else:
        whole = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    return whole * scale


def _loha(leaves: Leaves, weight: Tensor) -> Tensor:
    """LoHa: a Hadamard product of two low-rank matrices: Hyeon-Woo et al. 2021,
    arXiv:2108.06098."""
    halves = []
    for number in "12":
        a, b = leaves[f"hada_w{number}_a"].float(), leaves[f"hada_w{number}_b"].float()
        core = leaves.get(f"hada_t{number}")
        if core is None:
            halves.append(a @ b)
        else:
            halves.append(torch.einsum("ijkl,jr,ip->prkl", core.float(), b, a))
    return (halves[0] * halves[1]).reshape(weight.shape) * get_scale(leaves)


def _lokr(leaves: Leaves, weight: Tensor) -> Tensor:
    """LoKr: a Kronecker product."""
    first = _factor(leaves, "lokr_w1", None)
    second = _factor(leaves, "lokr_w2", leaves.get("lokr_t2"))
    if second.ndim == 4:
        first = first[:, :, None, None]
    return torch.kron(first.contiguous(), second.contiguous()).reshape(weight.shape) * get_scale(
        leaves
    )


def _factor(leaves: Leaves, name: str, core: Tensor | None) -> Tensor:
    if name in leaves:
        return leaves[name].float()
    if f"{name}_a" not in leaves or f"{name}_b" not in leaves:
        raise ValueError(name)
    a, b = leaves[f"{name}_a"].float(), leaves[f"{name}_b"].float()
    if core is not None:
        return torch.einsum("ijkl,ip,jr->prkl", core.float(), a, b)
    return (a @ b.flatten(1)).reshape(len(a), *b.shape[1:])


def _glora(leaves: Leaves, weight: Tensor) -> Tensor:
    """GLoRA: Chavan et al. 2023, arXiv:2306.07967, as LyCORIS reduces it: W·A + B."""
    a1, a2, b1, b2 = (
        leaves[f"glora_{name}"].float().flatten(1) for name in ("a1", "a2", "b1", "b2")
    )
    flat = weight.flatten(1)
    return (b2 @ b1 + flat @ a2 @ a1).reshape(weight.shape) * get_scale(leaves)


def _ia3(leaves: Leaves, weight: Tensor) -> Tensor:
    """(IA)³: a factor for each output, or each input (Liu et al. 2022, arXiv:2205.05638)."""
    factors = leaves["ia3"].float().flatten()
    ones = [1] * (weight.ndim - 2)
    if bool(leaves["on_input"]):
        return weight * factors.reshape(1, -1, *ones)
    return weight * factors.reshape(-1, 1, *ones)


def _oft(leaves: Leaves, weight: Tensor) -> Tensor:
    """OFT: blocks of outputs are rotated (Qiu et al. 2023, arXiv:2306.07280), by Cayley's transform
    of what the file holds; BOFT: several such rotations, in a butterfly (Liu et al. 2023,
    arXiv:2311.06243)."""
    if "oft_diag" in leaves:
        rotations = leaves["oft_diag"].float()
    else:
        rotations = _cayley(leaves["oft_blocks"].float(), leaves.get("alpha"), len(weight))
    turned = _butterfly(rotations, weight) if rotations.ndim == 4 else _rotate(rotations, weight)
    if "rescale" in leaves:
        turned = turned * leaves["rescale"].float().reshape(-1, *[1] * (weight.ndim - 1))
    difference: Tensor = turned - weight
    return difference


def _cayley(blocks: Tensor, alpha: Tensor | None, outputs: int) -> Tensor:
    skew = blocks - blocks.transpose(-1, -2)
    limit = 0.0 if alpha is None else float(alpha) * outputs
    if limit and (norm := float(skew.norm())) > limit:
        skew = skew * ((limit + 1e-8) / (norm + 1e-8))
    eye = torch.eye(skew.shape[-1], device=skew.device)
    rotations: Tensor = (eye + skew) @ torch.linalg.inv(eye - skew)
    return rotations


def _rotate(rotations: Tensor, weight: Tensor) -> Tensor:
    """rotations: (k, n, n), for k blocks of n outputs."""
    blocks, size, _ = rotations.shape
    rows = weight.reshape(blocks, size, -1)
    return torch.einsum("knm,kno->kmo", rotations, rows).reshape(weight.shape)


def _butterfly(rotations: Tensor, weight: Tensor) -> Tensor:
    """rotations: (m, blocks, b, b); as LyCORIS applies them."""
    stages, _, size, _ = rotations.shape
    rows = weight.reshape(len(weight), -1)
    for stage in range(stages):
        width = 2**stage * (size // 2)
        rows = _regroup(rows, 2, width)
        blocks = rows.reshape(-1, size, rows.shape[1])
        rows = torch.einsum("bij,bjo->bio", rotations[stage], blocks).reshape(rows.shape)
        rows = _regroup(rows, width, 2)
    return rows.reshape(weight.shape)


def _regroup(rows: Tensor, first: int, second: int) -> Tensor:
    """(c · first · second, o) with first and second swapped."""
    split = rows.reshape(-1, first, second, rows.shape[1])
    return split.transpose(1, 2).reshape(rows.shape)


def _decomposed(leaves: Leaves, weight: Tensor, delta: Tensor) -> Tensor:
    """DoRA: the magnitude is learnt apart from the direction (Liu et al. 2024, arXiv:2402.09353).
    kohya and OneTrainer keep one magnitude for each input, PEFT one for each output."""
    direction = weight + delta
    if "magnitude" in leaves:
        magnitude = leaves["magnitude"].float().reshape(-1, 1)
    else:
        magnitude = leaves["dora_scale"].float()
    per_input = len(magnitude) == 1 and len(weight) != 1
    flat = direction.transpose(0, 1).flatten(1) if per_input else direction.flatten(1)
    norm = flat.norm(dim=1)
    ones = [1] * (weight.ndim - 2)
    shape = (1, -1, *ones) if per_input else (-1, 1, *ones)
    factor = magnitude.reshape(shape) / norm.reshape(shape)
    difference: Tensor = direction * factor - weight
    return difference


_KINDS = {
    ("up", "down"): _lora,
    ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"): _loha,
    ("lokr_w1",): _lokr,
    ("lokr_w1_a",): _lokr,
    ("glora_a1", "glora_a2", "glora_b1", "glora_b2"): _glora,
    ("ia3",): _ia3,
    ("oft_blocks",): _oft,
    ("oft_diag",): _oft,
}
"""The tensors that a kind needs → its function; the first that matches is used."""
