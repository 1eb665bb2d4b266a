"""The number formats of quantized weights in safetensors files: which tensors belong to one weight,
and its shape; with what each is called, and whether it is supported.

Facts from the programs that write them: ComfyUI (`scale_weight` with a `scaled_fp8` tensor in 2025;
`weight_scale` with `comfy_quant`, a JSON text, since), nunchaku, bitsandbytes, SDNQ.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from dream.catalogue.detect import four_bits
from dream.catalogue.detect.gguf_types import QUANTIZED
from dream.catalogue.detect.tensors import TensorHeader
from dream.options.quantize_table import NO_QUANTIZATION, QUANTIZATIONS

WEIGHT = "weight"
SCALES = ("scale_weight", "weight_scale")
"""Names beside a weight for the scale of the whole weight, of each row, or of each block."""
GLOBAL_SCALE = "weight_scale_2"
"""nvfp4's second scale, of the whole weight."""
CONFIG = "comfy_quant"
IGNORED = ("scale_input", "input_scale", CONFIG)
"""Of the layer's input, for processors that multiply in the same format; and a configuration."""
MARK = "scaled_fp8"
_PARTS = ("scale", MARK, CONFIG)
"""In all names of tensors that are part of a weight."""
NVFP4 = "NVFP4"
"""The data type of a header's row for a weight in nvfp4: 16 numbers of four bits share a scale."""

FLOAT8 = ("F8_E4M3", "F8_E5M2")


class Unsupported(NamedTuple):
    """A number format that is not supported: its name, parts of tensor names that show it, and what
    to do."""

    name: str
    marks: tuple[str, ...]
    hint: str = "use a bf16, fp8 or GGUF file of this model"
    package: str = ""
    """On PyPI, for one that is read from folders in diffusers layout, with this package."""


UNSUPPORTED = (
    Unsupported("bitsandbytes 4-bit", (".quant_state.bitsandbytes",), package="bitsandbytes"),
    Unsupported("bitsandbytes 8-bit", (".SCB$",), package="bitsandbytes"),
    Unsupported("SVDQuant (nunchaku)", (".wscales$", ".smooth_factor$")),
    Unsupported("SDNQ", (".svd_up$", ".zero_point$"), package="sdnq"),
    Unsupported("AWQ or GPTQ", (".qzeros$",)),
    Unsupported("quanto", (".weight._data$",)),
    Unsupported("mxfp8", ()),
    Unsupported("4-bit (convrot)", ()),
    Unsupported("unknown", ()),
)


class LogicalTensors(NamedTuple):
    """A file's tensors, each quantized weight with its scales as one."""

    tensors: dict[str, TensorHeader]
    number_format: str
    """"" (not quantized), "fp8", "fp8 scaled", "int8", "nvfp4", "nf4" or "fp4"; or a name of
    UNSUPPORTED."""


_NO_STATES: Mapping[str, four_bits.State] = MappingProxyType({})


def merge_scales(
    tensors: Mapping[str, TensorHeader], states: Mapping[str, four_bits.State] = _NO_STATES
) -> LogicalTensors:
    """The logical tensors of a safetensors file or pickle; `states` are those of bitsandbytes'
    weights by their names."""
    tensors = four_bits.merge_parts(tensors, states) if states else tensors
    text = "\n".join(tensors)
    quantized = {*FLOAT8, four_bits.DTYPE} & {row.dtype for row in tensors.values()}
    if not (quantized or any(part in text for part in _PARTS)):
        return LogicalTensors(dict(tensors), _format_of({}, tensors))
    formats: dict[str, str] = {}
    merged: dict[str, TensorHeader] = {}
    parts: set[str] = set()
    for name, row in tensors.items():
        owner, _, last = name.rpartition(".")
        if last == MARK:
            parts.add(name)
        elif last in (*IGNORED, *SCALES, GLOBAL_SCALE):
            if f"{owner}.{WEIGHT}" in tensors:
                parts.add(name)
        elif row.dtype in FLOAT8:
            formats.setdefault("fp8", name)
        elif row.dtype == four_bits.DTYPE:
            formats[states[name].format] = name
    for name, row in tensors.items():
        if name in parts:
            continue
        merged[name] = row
        scale = _scale_of(name, tensors)
        if scale is not None:
            form, logical = _logical(row, scale, f"{name}_scale_2" in tensors)
            merged[name] = logical
            formats[form] = name
    return LogicalTensors(merged, _format_of(formats, tensors))


def find_unsupported(number_format: str) -> Unsupported | None:
    """The row of a number format that is not supported; None for one that is."""
    if number_format in QUANTIZED and not QUANTIZED[number_format].supported:
        return Unsupported(f"GGUF {number_format}", (), "use a Q4_K, Q8_0 or fp8 file of it")
    return next((row for row in UNSUPPORTED if row.name == number_format), None)


def memory_size(
    tensors: Mapping[str, TensorHeader], width: int, quantize: str = NO_QUANTIZATION
) -> int:
    """Bytes of a file's weights in memory, where a number that is not quantized takes `width`
    bytes. Layers stay as they are stored where that is less; see `engine.loading.stored_weights`;
    others are quantized as --quantize says. Averages (`model_ema.`) are not loaded with the rest.
    """
    return sum(
        _size_of(name, row, width, quantize)
        for name, row in tensors.items()
        if not name.startswith("model_ema.")
    )


def _size_of(name: str, row: TensorHeader, width: int, quantize: str) -> int:
    whole = _count(row.shape) * width
    layer = name.endswith(f".{WEIGHT}") and len(row.shape) in (2, 4)
    if not layer or any(word in name for word in _LOOKED_UP):
        return whole
    if row.precision in _PLAIN:
        chosen = QUANTIZATIONS.get(quantize)
        decoder = any(word in name for word in _DECODERS)
        return whole if chosen is None or decoder else int(_count(row.shape) * chosen.bits / 8)
    return min(whole, row.size + 4 * row.shape[0])


_PLAIN = ("float64", "float32", "float16", "bfloat16")
_LOOKED_UP = ("embed_tokens.", "embedding.", "shared.")
"""In names of weights that are tables, not layers."""
_DECODERS = ("first_stage_model.", "vae.")
"""In names of a VAE's weights, which --quantize leaves as they are."""


def _scale_of(name: str, tensors: Mapping[str, TensorHeader]) -> TensorHeader | None:
    owner, _, last = name.rpartition(".")
    if last != WEIGHT:
        return None
    return next((tensors[s] for x in SCALES if (s := f"{owner}.{x}") in tensors), None)


def _logical(row: TensorHeader, scale: TensorHeader, second: bool) -> tuple[str, TensorHeader]:
    """The format of a weight with a scale, and its logical row."""
    rows = row.shape[0] if row.shape else 1
    simple = _count(scale.shape) in (1, rows) and scale.dtype in ("F32", "F16", "BF16")
    if row.dtype in FLOAT8:
        return ("fp8 scaled" if simple else "mxfp8"), row
    if row.dtype == "I8":
        return ("int8" if simple else "4-bit (convrot)"), row
    if row.dtype == "U8" and second and scale.dtype == "F8_E4M3" and len(row.shape) == 2:
        return "nvfp4", TensorHeader(NVFP4, (rows, 2 * row.shape[1]))
    return "unknown", row


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _format_of(formats: Mapping[str, str], tensors: Mapping[str, TensorHeader]) -> str:
    """Of all that were found, one that is not supported, else the one that says most."""
    text = "\n".join(tensors) + "\n"
    for row in UNSUPPORTED:
        if row.name in formats or any(mark.replace("$", "\n") in text for mark in row.marks):
            return row.name
    return next((f for f in _MEANS_MOST if f in formats), "")


_MEANS_MOST = (*four_bits.FORMATS, "nvfp4", "int8", "fp8 scaled", "fp8")
