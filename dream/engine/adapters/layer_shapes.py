"""Whether the tensors for a layer can be multiplied to a difference of its weight's size.

A file of some kilobytes can have two vectors whose product takes gigabytes. So everything here is
computed from shapes; the formulas whose sizes these are are those of `layer_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from torch import Tensor

Shape = tuple[int, ...]

_ONE_NUMBER = ("alpha", "scalar", "on_input")
_SMALLEST_ROOM = 2**24
_ROOM = 4
"""How many times the numbers of the weight, or `_SMALLEST_ROOM` if that is more, a tensor for it,
or a product on the way, may have. A LoRA of rank 128 for a convolution of 4 channels has more than
4 times, and is small."""


class UnsupportedLayer(Exception):
    """The tensors for a layer do not fit it, or are of no known kind; the text says why."""


def check_shapes(leaves: Mapping[str, Tensor], weight: Tensor) -> None:
    """leaves: see `layer_names.Leaves`. weight: the layer's, of any dtype; its numbers are not
    read. Raises UnsupportedLayer for tensors that do not fit it."""
    shapes = {name: tuple(tensor.shape) for name, tensor in leaves.items()}
    on_input = "on_input" in shapes and shapes["on_input"] in ((), (1,)) and leaves["on_input"]
    try:
        fits = _Shapes(shapes, tuple(weight.shape)).fit(bool(on_input))
    except (LookupError, ValueError):  # too few sides for what they are
        fits = False
    if not fits:
        raise UnsupportedLayer(describe_shapes(leaves, weight))


def describe_shapes(leaves: Mapping[str, Tensor], weight: Tensor) -> str:
    """That these tensors do not fit a weight, with all sides of both."""
    odd = {name: one for name, one in leaves.items() if one.ndim or name not in _ONE_NUMBER}
    theirs = ", ".join(f"{name} {_sides(tensor)}" for name, tensor in odd.items())
    return f"{theirs} do not fit a weight of {_sides(weight)}"


def _sides(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape[:6])) + "x…" * (tensor.ndim > 6) or "1"


def _flat(shape: Shape) -> tuple[int, int]:
    """The sides of the matrix of a tensor. Raises ValueError for a vector."""
    first, *rest = shape
    if not rest:
        raise ValueError(shape)
    return first, prod(rest)


class _Shapes:
    """The shapes of one layer's tensors, and of its weight."""

    def __init__(self, leaves: Mapping[str, Shape], weight: Shape) -> None:
        self._leaves = leaves
        self._weight = weight
        self._count = prod(weight)
        self._room = max(_ROOM * self._count, _SMALLEST_ROOM)

    def fit(self, on_input: bool) -> bool:
        """Whether all fit. Raises LookupError, ValueError."""
        has = self._leaves.keys()
        if any(prod(self._leaves[name]) != 1 for name in _ONE_NUMBER if name in has):
            return False
        if sum(map(prod, self._leaves.values())) > self._room:
            return False
        if any(
            prod(self._leaves[name]) != self._count for name in ("diff", "w_norm") if name in has
        ):
            return False
        return self._magnitudes_fit() and self._kind_fits(on_input)

    def _kind_fits(self, on_input: bool) -> bool:
        has = self._leaves.keys()
        if {"up", "down"} <= has:
            return self._lora_fits()
        if {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} <= has:
            first, second = self._half("1"), self._half("2")
            return first == second and prod(first) == self._count
        if has & {"lokr_w1", "lokr_w1_a"}:
            first = self._factor("lokr_w1", None)
            second = self._factor("lokr_w2", self._leaves.get("lokr_t2"))
            return min(len(first), len(second)) > 1 and prod(first) * prod(second) == self._count
        if {"glora_a1", "glora_a2", "glora_b1", "glora_b2"} <= has:
            return self._glora_fits()
        if "ia3" in has:
            return prod(self._leaves["ia3"]) == self._weight[1 if on_input else 0]
        if has & {"oft_blocks", "oft_diag"}:
            return self._oft_fits()
        return True

    def _lora_fits(self) -> bool:
        outs, left = _flat(self._leaves["up"])
        right, ins = _flat(self._leaves["down"])
        if "mid" not in self._leaves:
            return left == right and outs == self._weight[0] and outs * ins == self._count
        mid, kernel = self._leaves["mid"], self._leaves["mid"][2:]
        fits = mid == (left, right, *kernel) and (outs, ins, *kernel) == self._weight
        between = max(outs * right, left * ins) * prod(kernel)
        return fits and len(kernel) == 2 and between <= self._room

    def _half(self, number: str) -> Shape:
        """The shape of one of LoHa's two factors."""
        a, b = self._leaves[f"hada_w{number}_a"], self._leaves[f"hada_w{number}_b"]
        core = self._leaves.get(f"hada_t{number}")
        if core is not None:
            return self._with_core(core, a, b)
        outs, ins = self._product(a, b)
        return outs, ins

    def _factor(self, name: str, core: Shape | None) -> Shape:
        """The shape of one of LoKr's two factors."""
        if name in self._leaves:
            return self._leaves[name]
        a, b = self._leaves[f"{name}_a"], self._leaves[f"{name}_b"]
        if core is not None:
            return self._with_core(core, a, b)
        return self._product(a, b)

    def _product(self, a: Shape, b: Shape) -> Shape:
        outs, left = a
        if left != b[0] or len(b) < 2:
            raise ValueError(a, b)
        return outs, *b[1:]

    def _with_core(self, core: Shape, a: Shape, b: Shape) -> Shape:
        """A core (i, j, …) between (i, outs) and (j, ins): (outs, ins, …)."""
        (first, outs), (second, ins) = a, b
        kernel = core[2:]
        if core != (first, second, *kernel) or len(kernel) != 2:
            raise ValueError(core)
        if max(outs * second, first * ins) * prod(kernel) > self._room:
            raise ValueError(core)
        return outs, ins, *kernel

    def _glora_fits(self) -> bool:
        a1, a2, b1, b2 = (_flat(self._leaves[f"glora_{name}"]) for name in ("a1", "a2", "b1", "b2"))
        outs, ins = _flat(self._weight)
        fits = a2 == (ins, a1[0]) and a1[1] == ins and b2 == (outs, b1[0]) and b1[1] == ins
        return fits and outs * a1[0] <= self._room

    def _oft_fits(self) -> bool:
        *_, blocks, rows, columns = self._leaves[
            "oft_diag" if "oft_diag" in self._leaves else "oft_blocks"
        ]
        rescale = prod(self._leaves.get("rescale", ()))
        outs = self._weight[0]
        return rows == columns and blocks * rows == outs and rescale in (1, outs)

    def _magnitudes_fit(self) -> bool:
        """DoRA's: one number for each output or each input, or one for all."""
        outs, *rest = self._weight or (1,)
        if "magnitude" in self._leaves:
            return prod(self._leaves["magnitude"]) in (1, outs)
        scale = self._leaves.get("dora_scale")
        if scale is None:
            return True
        per_input = scale[0] == 1 and outs != 1
        return prod(scale) in (1, rest[0] if per_input else outs)
