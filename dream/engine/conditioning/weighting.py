"""How weights act on embeddings: one function for each value of `--weighting`."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, tan

import torch

from dream.engine.conditioning.tokens import TokenChunk
from dream.options.syntax_table import A1111, COMFY, INVOKEAI, NO_NORM

Encode = Callable[[TokenChunk, list[int]], torch.Tensor]
"""Encodes a chunk (1, length, width), as if the tokens with these indices were not there."""

SMALLEST = 1e-5
"""Weights below it are taken as this one by compel."""


def weigh(chunk: TokenChunk, encode: Encode, weighting: str) -> torch.Tensor:
    """The embeddings (1, length, width) of a chunk with its weights, in the encoder's data type.
    Without weights they are the encoder's own, bit for bit."""
    weights = chunk.list_weights()
    plain = encode(chunk, [])
    if all(weight == 1 for weight in weights):
        return plain
    z = plain.float()
    factors = torch.tensor(weights, device=z.device)[None, :, None]
    if weighting in (A1111, NO_NORM):
        return _multiply(z, factors, restore_mean=weighting == A1111).to(plain)
    empty = encode(TokenChunk((), chunk.length), []).float()
    weighed = empty + (z - empty) * factors
    if weighting == COMFY:
        return torch.where(factors == 1, z, weighed).to(plain)
    assert weighting == INVOKEAI, weighting
    return _downweigh(chunk, encode, empty, factors, weighed).to(plain)


def _multiply(z: torch.Tensor, factors: torch.Tensor, *, restore_mean: bool) -> torch.Tensor:
    """A1111's: z * m, and with "Original" emphasis the mean of the chunk is what it was."""
    weighed = z * factors
    return weighed * (z.mean() / weighed.mean()) if restore_mean else weighed


def _downweigh(
    chunk: TokenChunk,
    encode: Encode,
    empty: torch.Tensor,
    factors: torch.Tensor,
    weighed: torch.Tensor,
) -> torch.Tensor:
    """compel's: for each fragment below 1, mixed with the prompt in which nothing attends to it, by
    tan((1 - w) * pi / 2)."""
    total, share = weighed, 1.0
    for weight, indices in chunk.list_lighter():
        without = empty + (encode(chunk, indices).float() - empty) * factors
        part = tan((1 - max(weight, SMALLEST)) * pi / 2)
        total = total + part * without
        share += part
    return total / share
