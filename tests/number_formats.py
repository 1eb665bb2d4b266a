"""Writers of quantized weights: the inverse of what `dream.engine.loading.formats` reads, from the
descriptions of the formats. Each returns what a file holds, and the numbers it stands for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

Tensors = dict[str, torch.Tensor]
Written = tuple[Tensors, torch.Tensor]
"""The tensors in place of a weight, by what follows its owner's name, and its numbers."""

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
_E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def fp8(weight: torch.Tensor, kind: torch.dtype = E4M3) -> Written:
    """A plain cast."""
    stored = weight.to(kind)
    return {"weight": stored}, stored.to(torch.float32)


def fp8_scaled(
    weight: torch.Tensor, kind: torch.dtype = E4M3, name: str = "scale_weight", rows: bool = False
) -> Written:
    """Number = stored · scale, which is one number, or one for each row."""
    flat = weight.reshape(len(weight), -1)
    scale = (flat.abs().amax(1) if rows else flat.abs().amax()) / torch.finfo(kind).max
    each = scale.reshape(-1, *[1] * (weight.ndim - 1))
    stored = (weight / each).to(kind)
    parts = {"weight": stored, name: scale[:, None] if rows else scale}
    return parts, stored.to(torch.float32) * each


def int8(weight: torch.Tensor, group: int = 0) -> Written:
    """A scale for each row; with `group`, rotated by ComfyUI's ConvRot before."""
    rotation = _hadamard(group) if group else None
    turned = weight if rotation is None else _by_groups(weight, rotation)
    scale = turned.abs().amax(1, keepdim=True) / 127
    stored = (turned / scale).round().clamp(-127, 127).to(torch.int8)
    numbers = stored.to(torch.float32) * scale
    config: dict[str, Any] = {"format": "int8_tensorwise"}
    if rotation is not None:
        numbers = _by_groups(numbers, rotation)
        config |= {"convrot": True, "convrot_groupsize": group}
    return {"weight": stored, "weight_scale": scale, "comfy_quant": as_text(config)}, numbers


def _hadamard(group: int) -> torch.Tensor:
    four = torch.tensor([[1.0, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]]) / 2
    whole = four
    while len(whole) < group:
        whole = torch.kron(whole, four)
    return whole


def _by_groups(weight: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    return (weight.reshape(len(weight), -1, len(rotation)) @ rotation).reshape(weight.shape)


def nvfp4(weight: torch.Tensor) -> Written:
    """Sixteen numbers of four bits share a scale in float8; all share another."""
    rows, columns = weight.shape
    blocks = weight.reshape(rows, -1, 16)
    whole = weight.abs().max() / (448 * 6)
    scales = (blocks.abs().amax(2) / 6 / whole).clamp(min=2**-9).to(E4M3)
    total = whole * scales.to(torch.float32)
    nearest = ((blocks / total[..., None]).abs()[..., None] - _E2M1).abs().argmin(-1)
    codes = nearest + 8 * (blocks < 0)
    numbers = torch.where(blocks < 0, -_E2M1[nearest], _E2M1[nearest]) * total[..., None]
    pairs = codes.reshape(rows, columns // 2, 2).to(torch.uint8)
    parts = {
        "weight": pairs[..., 0] << 4 | pairs[..., 1],
        "weight_scale": _tiles(scales.view(torch.uint8)).view(E4M3),
        "weight_scale_2": whole,
        "comfy_quant": as_text({"format": "nvfp4"}),
    }
    return parts, numbers.reshape(rows, columns)


NF4 = torch.tensor(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ]
)
"""Dettmers et al. 2023, arXiv:2305.14314, appendix E."""


def nf4(weight: torch.Tensor, nested: bool = False) -> Written:
    """bitsandbytes: 64 numbers share a scale, which is `nested` in eight bits with an offset."""
    blocks = weight.reshape(-1, 64)
    scales = blocks.abs().amax(1)
    config: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16"}
    config["shape"] = list(weight.shape)
    parts: Tensors = {"weight.quant_map": NF4}
    if nested:
        offset, values = scales.mean(), torch.linspace(-1, 1, 256)
        centred = scales - offset
        most = torch.stack([some.abs().max() for some in centred.split(256)])
        share = centred / most.repeat_interleave(256)[: len(scales)]
        codes = (share[:, None] - values).abs().argmin(1)
        config |= {"nested_blocksize": 256, "nested_dtype": "float32"}
        config["nested_offset"] = float(offset)
        scales = values[codes] * most.repeat_interleave(256)[: len(scales)] + float(offset)
        parts |= {"weight.nested_absmax": most, "weight.nested_quant_map": values}
        parts["weight.absmax"] = codes.to(torch.uint8)
    else:
        parts["weight.absmax"] = scales
    codes = ((blocks / scales[:, None])[..., None] - NF4).abs().argmin(-1)
    pairs = codes.reshape(-1, 2).to(torch.uint8)
    parts["weight"] = (pairs[:, 0] << 4 | pairs[:, 1])[:, None]
    parts["weight.quant_state.bitsandbytes__nf4"] = as_text(config)
    return parts, (NF4[codes] * scales[:, None]).reshape(weight.shape)


def _tiles(scales: torch.Tensor) -> torch.Tensor:
    """cuBLAS' layout of 128 x 4 tiles, written number by number from its description."""
    rows, columns = scales.shape
    high, wide = -(-rows // 128), -(-columns // 4)
    tiles = torch.zeros(high * wide * 512, dtype=torch.uint8)
    for row in range(rows):
        for column in range(columns):
            tile = row // 128 * wide + column // 4
            inside = row % 32 * 16 + row % 128 // 32 * 4 + column % 4
            tiles[tile * 512 + inside] = scales[row, column]
    return tiles.reshape(high * 128, wide * 4)


def as_text(config: Mapping[str, Any]) -> torch.Tensor:
    """JSON in a tensor of bytes."""
    return torch.tensor(list(json.dumps(config).encode()), dtype=torch.uint8)


def encode(
    weights: Tensors,
    how: Callable[[torch.Tensor], Written],
    wanted: Callable[[str, torch.Tensor], bool],
) -> tuple[Tensors, Tensors]:
    """A file's tensors, those that are wanted encoded; and the numbers they all stand for."""
    file, numbers = dict(weights), dict(weights)
    for name, weight in weights.items():
        if name.endswith(".weight") and wanted(name, weight):
            parts, numbers[name] = how(weight)
            owner = name.removesuffix("weight")
            del file[name]
            file |= {owner + part: tensor for part, tensor in parts.items()}
    return file, numbers


def quantize(weight: torch.Tensor, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """Blocks of GGUF by the gguf package; of types that it only reads, blocks of random numbers."""
    try:
        found: np.ndarray = gguf.quants.quantize(weight.numpy(), kind)
        return found
    except NotImplementedError:  # gguf only reads this type
        return random_blocks(tuple(weight.shape), kind)


def random_blocks(
    shape: tuple[int, ...], kind: gguf.GGMLQuantizationType, seed: int = 0
) -> np.ndarray:
    """Random blocks whose scales are small numbers."""
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.random.default_rng(seed).integers(0, 256, (np.prod(shape) // numbers, size))
    blocks = blocks.astype(np.uint8)
    for at in _SCALES_AT.get(kind.name, (0,)):
        scales = np.float16(0.0005 + 0.0001 * (blocks[:, at] % 8))
        blocks[:, at : at + 2] = scales[:, None].view(np.uint8)
    return blocks.reshape(*shape[:-1], -1)


_SCALES_AT = {
    "Q4_1": (0, 2), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2),
    "Q5_K": (0, 2), "Q6_K": (208,),
}  # fmt: skip
"""Where a block has numbers in float16; others have one at the beginning."""


def save_gguf(
    weights: Tensors,
    path: Path,
    kind: gguf.GGMLQuantizationType,
    wanted: Callable[[str, torch.Tensor], bool],
    architecture: str = "sd1",
    **metadata: int,
) -> Tensors:
    """Write a GGUF file with the gguf package; the numbers it stands for. Weights whose rows are
    not whole blocks are reshaped, as ComfyUI-GGUF does."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        writer.add_uint32(f"{architecture}.attention.{key}", value)
    numbers = dict(weights)
    block = gguf.GGML_QUANT_SIZES[kind][0]
    for name, weight in weights.items():
        if not wanted(name, weight) or weight.numel() % block:
            writer.add_tensor(name, np.ascontiguousarray(weight.numpy()))
            continue
        laid = weight.contiguous()
        if weight.shape[-1] % block:
            laid = laid.reshape(-1, block)
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(weight.shape))
        blocks = quantize(laid, kind)
        writer.add_tensor(name, blocks, raw_dtype=kind)
        decoded = gguf.quants.dequantize(blocks, kind)
        numbers[name] = torch.from_numpy(decoded).reshape(weight.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return numbers
