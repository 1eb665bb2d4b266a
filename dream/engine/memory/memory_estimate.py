"""Estimates the memory that a model needs, from its files' headers, before it is loaded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from dream.catalogue.detect import detect, read_header
from dream.catalogue.detect.model_kinds import UNET
from dream.catalogue.detect.number_formats import memory_size
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.weight_files import (
    SAFE_SUFFIXES,
    WeightFiles,
    count_parameters,
    find_weights,
)
from dream.core.errors import ModelError
from dream.engine.loading.file_signature import (
    count_used_parameters,
    list_weight_files,
    select_used,
)
from dream.engine.loading.model_index import read_index
from dream.engine.memory.device import NO_OFFLOAD, Placement, choose_placement
from dream.options.quantize_table import NO_QUANTIZATION

WORK = 512 * 2**20
"""Bytes for generating an image of usual size; a small model needs no more than its weights
again."""

MAPPED = (*SAFE_SUFFIXES, ".gguf")
"""Suffixes of files that are mapped into memory, not unpacked."""

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number."""


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory a model will need, from its files' headers, before it is loaded."""

    placement: Placement
    weights: int
    """Bytes of the loaded weights."""
    load_overhead: int = 0
    """Extra bytes while it is loaded: a pickle is unpacked as a whole."""
    largest: int = 0
    """Bytes of its largest component, mostly the denoiser."""

    @property
    def required_bytes(self) -> int:
        """Bytes that must be free: the weights, and memory to work with them."""
        return self.weights + max(self.load_overhead, min(self.weights, WORK))


def estimate_memory(info: ModelInfo, device: str, precision: str) -> MemoryEstimate:
    """Estimate a model. Raises BadSetting for a device that is not here. A model whose files cannot
    be read counts as 0 bytes: loading it will report the error."""
    try:
        files = _files(info)
        parameters, largest = _parameters(info, files), _largest(info, files)
    except (ModelError, OSError):
        return MemoryEstimate(choose_placement(device, precision), 0)
    placement = choose_placement(device, precision, parameters)
    unpacked = sum(path.stat().st_size for path in files.files if path.suffix.lower() not in MAPPED)
    width = WIDTH[placement.precision]
    if info.path.is_file():
        sizes = _sizes_of_files(info, files, width)
    elif info.quantize == NO_QUANTIZATION or unpacked:
        sizes = parameters * width, largest * width
    else:
        parts = _sizes_of_parts(files, width, info.quantize)
        sizes = sum(parts), max(parts)
    return MemoryEstimate(placement, sizes[0], unpacked, sizes[1])


def estimate_file(path: Path, placement: Placement) -> MemoryEstimate:
    """What a file takes beside a model, all of it on the device. Raises ModelError."""
    whole = replace(placement, offload_mode=NO_OFFLOAD)
    weights = memory_size(read_header(path).tensors, WIDTH[placement.precision], NO_QUANTIZATION)
    unpacked = 0 if path.suffix.lower() in MAPPED else path.stat().st_size
    return MemoryEstimate(whole, weights, unpacked)


def _sizes_of_files(info: ModelInfo, files: WeightFiles, width: int) -> tuple[int, int]:
    """Bytes of a model in single files, and of its denoiser. --quantize leaves a VAE as it is."""
    vaes = {part.path for part in info.parts if part.part == "vae" and part.path != info.path}
    whole = sum(
        memory_size(
            select_used(info, file, read_header(file).tensors),
            width,
            NO_QUANTIZATION if file in vaes else info.quantize,
        )
        for file in files.files
    )
    pieces = detect(info.path).pieces
    start = pieces[0].prefix if pieces else UNET
    rows = read_header(info.path).tensors
    denoiser = {name: row for name, row in rows.items() if name.startswith(start)}
    return whole, memory_size(denoiser, width, info.quantize)


def _sizes_of_parts(files: WeightFiles, width: int, quantize: str) -> list[int]:
    """Bytes of each component of a folder, quantized; but a VAE is not."""
    sizes: Counter[Path] = Counter()
    for path in files.files:
        how = NO_QUANTIZATION if path.parent.name.startswith("vae") else quantize
        sizes[path.parent] += memory_size(read_header(path).tensors, width, how)
    return list(sizes.values())


def _files(info: ModelInfo) -> WeightFiles:
    if info.path.is_file():
        return list_weight_files(info)
    return find_weights(info.path, read_index(info.path).libraries)


def _parameters(info: ModelInfo, files: WeightFiles) -> int:
    """Of single files, without their EMA weights, which are not loaded."""
    if info.path.is_file():
        return count_used_parameters(info)
    return count_parameters(files)


def _largest(info: ModelInfo, files: WeightFiles) -> int:
    """Parameters of the largest component of a folder."""
    if info.path.is_file():
        return 0
    parts = {path.parent for path in files.files}
    return max(
        count_parameters(WeightFiles(tuple(path for path in files.files if path.parent == part)))
        for part in parts
    )
