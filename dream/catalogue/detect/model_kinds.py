"""Detects a weights file's kind, family, variant and prediction type from its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path

from dream.catalogue.detect.file_kinds import (
    TensorNames,
    explain_refusal,
    find_denoiser,
    find_file_kind,
    find_quantization,
)
from dream.catalogue.detect.headers import Header, read_header
from dream.catalogue.detect.prediction import detect_prediction_type
from dream.catalogue.detect.tensors import TensorHeader
from dream.catalogue.detect.upscaler_architectures import find_architecture

UNET = "model.diffusion_model."
"""Prefix of the denoiser's tensor names in files of CompVis' and Stability's layout."""

_MIN_SIZE, _MAX_SIZE = 64, 4096
"""Valid range of a model's native resolution, in pixels along a side."""

_VARIANTS = {4: "", 5: "depth", 9: "inpainting", 8: "instruct-pix2pix", 7: "x4-upscaler"}
"""Input channels of the denoiser → variant."""

_KINDS: tuple[tuple[str, str], ...] = (
    ("controlnet", r"control_model\.|controlnet_cond_embedding\.|controlnet_blocks\."),
    ("model", r"model\.diffusion_model\.|input_blocks\.0\.0\.weight$"),
    (
        "lora",
        r"(lora|lycoris)_(unet|te\d?|transformer)_"
        r"|.*(lora_(up|down|A|B|linear_layer)\b|lora\.(up|down)\.|\.(hada|lokr)_w|\.oft_)",
    ),
    ("ip-adapter", r"ip_adapter\.|image_proj\."),
    ("embedding", r"string_to_param\.|emb_params$|clip_[lg]$|<.*>$"),
    ("vae", r"(first_stage_model\.|vae\.)?(decoder|encoder)\.conv_in\."),
    (
        "upscaler",
        r"conv_first\.|body\.0\.(rdb1\.|weight$)|model\.0\.weight$|layers\.0\.resid",
    ),
    ("model", r"(double_blocks|joint_blocks)\.0\."),
    ("unet", r"down_blocks\.\d+\.(resnets|attentions)\.|(single_)?transformer_blocks\.0\."),
    ("text encoder", r"(text_model|encoder)\.(embeddings|encoder|block)\.|shared\.weight$"),
)
"""Kind and pattern; the first row whose pattern matches the start of a tensor name is used."""

_TEXT_ENCODERS = ("^cond_stage_model.", "^conditioner.embedders.")
"""Prefixes of text encoders' tensor names in the layout that is loaded."""
_FOLDER = "use the whole model: a file with all of its parts, or its folder in diffusers layout"

_USAGE_HINTS = {
    "lora": "LoRAs are not supported yet",
    "vae": "use it with --vae FILE, or put it into VAE/ in a models folder",
    "embedding": "embeddings are not supported yet",
    "upscaler": "use it with --upscaler FILE, or put it into upscalers/ in a models folder",
    "controlnet": "it only guides a model, and is not supported yet",
    "ip-adapter": "it only guides a model, and is not supported yet",
    "unet": "load the whole model from its folder in diffusers layout, or by its hub id",
    "text encoder": "it is one part of a model; use the whole model",
}


@dataclass(frozen=True, kw_only=True)
class DetectedModel:
    """What a weights file is, detected from its header."""

    path: Path
    kind: str
    """"model", "lora", "vae", "embedding", "upscaler", "controlnet", "ip-adapter", "unet",
    "text encoder", another kind of `file_kinds.FILE_KINDS`, or "unknown"."""
    family: str = "other"
    """For models: "sd1", "sd2", "sdxl", "sd3", "flux" or "other"."""
    variant: str = ""
    """For models: "", "inpainting", "depth", "refiner", "instruct-pix2pix", "x4-upscaler" or
    "edm"."""
    prediction_type: str = "epsilon"
    """"epsilon" or "v_prediction"; see `prediction.detect_prediction_type`."""
    zero_snr: bool = False
    """Whether it was trained with zero terminal SNR: Lin et al. 2023, arXiv:2305.08891."""
    size: tuple[int, int] = (512, 512)
    """Native width and height in pixels."""
    precision: str = "float32"
    """Data type of most of its weights: "float32", "float16", "bfloat16", "float8" …"""
    parameters: int = 0
    """Number of parameters, without EMA weights."""
    ema: bool = False
    """Whether it also contains EMA weights (`model_ema.`)."""
    format: str = "safetensors"
    """"safetensors", "zip" or "legacy"; the latter two are pickles."""
    code: tuple[str, ...] = ()
    """For a pickle: what it would run. Such a file is never loaded."""
    called: str = ""
    """Description, if the kind does not say enough; for a model, why it is not loaded."""
    place: str = ""
    """What to do with it, as a hint for a message."""

    @property
    def is_inpainting(self) -> bool:
        """Whether its denoiser also takes a mask and a masked image (9 channels)."""
        return self.variant == "inpainting"


def detect(path: Path) -> DetectedModel:
    """Detect what the file at `path` is; symlinks are followed. Takes a few milliseconds; the
    result is cached until the file or the .yaml beside it changes.

    Raises ModelError for a file that cannot be read, is truncated, or is not a weights file. A
    pickle that would run code does not raise; see `DetectedModel.code`.
    """
    return _detect_cached(path, _file_stamp(path), _file_stamp(path.with_suffix(".yaml")))


@lru_cache(maxsize=256)
def _detect_cached(path: Path, *stamps: object) -> DetectedModel:
    return classify(read_header(path))


def _file_stamp(path: Path) -> object:
    """A value that changes when the file does; None if it does not exist."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def get_usage_hint(kind: str) -> str:
    """A hint how to use a file of that kind, or that it is not supported; empty for models and
    unknown files."""
    return _USAGE_HINTS.get(kind, "")


def classify(header: Header) -> DetectedModel:
    """Detect what a file is from its header."""
    tensors = header.tensors
    names = TensorNames(tensors)
    whole = any(
        map(names.has, _TEXT_ENCODERS)
    )  # a complete model of a supported family has text encoders
    file_kind = None if whole else find_file_kind(names)
    denoiser = None if whole or file_kind else find_denoiser(names)
    kind = "model" if denoiser else file_kind.kind if file_kind else _kind(header)
    weights = {name: row for name, row in tensors.items() if not name.startswith("model_ema.")}
    common = DetectedModel(
        path=header.path,
        kind=kind,
        precision=_precision(weights),
        parameters=sum(prod(row.shape) for row in weights.values()),
        ema=len(weights) < len(tensors),
        format=header.format,
        code=header.code,
    )
    if denoiser:
        called, place = explain_refusal(names, denoiser)
        return replace(
            common, family=denoiser.family, called=called, place=place, size=(1024, 1024)
        )
    if file_kind:
        return replace(common, called=file_kind.called, place=file_kind.place)
    if kind != "model":
        return common
    detected = _detect_model(common, header)
    called, place = _why_not_loaded(detected, names)
    return replace(detected, called=called, place=place)


def _why_not_loaded(detected: DetectedModel, names: TensorNames) -> tuple[str, str]:
    """For a file with Stable Diffusion's denoiser: why it cannot be loaded, and what to do; both
    empty if it can."""
    if form := find_quantization(names):
        return f"has {form} weights, which are not supported", "use a float16 or bfloat16 file"
    if detected.family in ("sd1", "sd2", "sdxl"):
        return "", ""
    if names.has("^label_emb.0.0."):
        return "contains only the denoiser of Stable Diffusion XL", _FOLDER
    return "contains only the denoiser of Stable Diffusion or another model", _FOLDER


def _detect_model(common: DetectedModel, header: Header) -> DetectedModel:
    family, variant = _family(header.tensors), _variant(header.tensors)
    prediction, zero_snr = detect_prediction_type(header, family, variant)
    return replace(
        common,
        family=family,
        variant=variant,
        prediction_type=prediction,
        zero_snr=zero_snr,
        size=_native_size(header.metadata, family, prediction),
    )


def _kind(header: Header) -> str:
    names = header.tensors
    for kind, pattern in _KINDS:
        if any(map(re.compile(pattern).match, names)):
            return kind
    if find_architecture(names):
        return "upscaler"
    if len(names) == 1 and len(next(iter(names.values())).shape) in (1, 2):
        return "embedding"
    return "unknown"


def _family(tensors: Mapping[str, TensorHeader]) -> str:
    """The family by its text encoders, which works for models of every width."""
    rows = (
        ("sdxl", "conditioner.embedders."),
        ("sd2", "cond_stage_model.model."),
        ("sd1", "cond_stage_model.transformer."),
    )
    for family, start in rows:
        if any(name.startswith(start) for name in tensors):
            return family
    return "other"


def _variant(tensors: Mapping[str, TensorHeader]) -> str:
    if "edm_mean" in tensors or "edm_vpred.sigma_max" in tensors:
        return "edm"
    first = tensors.get(UNET + "input_blocks.0.0.weight")
    variant = _VARIANTS.get(first.shape[1], "") if first and len(first.shape) == 4 else ""
    refiner = "conditioner.embedders.0.model.token_embedding.weight" in tensors
    return variant or ("refiner" if refiner else "")


def _native_size(metadata: Mapping[str, str], family: str, prediction: str) -> tuple[int, int]:
    """modelspec's resolution if the file has one, else the family's native size."""
    resolution = re.fullmatch(
        r"(\d{2,4})(?:x(\d{2,4}))?", metadata.get("modelspec.resolution", ""), re.ASCII
    )
    if resolution:
        sides = int(resolution[1]), int(resolution[2] or resolution[1])
        if all(_MIN_SIZE <= side <= _MAX_SIZE and side % 8 == 0 for side in sides):
            return sides
    if family == "sd2" and prediction == "v_prediction":
        return 768, 768
    return (1024, 1024) if family in ("sdxl", "sd3", "flux") else (512, 512)


def _precision(tensors: Mapping[str, TensorHeader]) -> str:
    count: Counter[str] = Counter()
    for row in tensors.values():
        count[row.precision] += prod(row.shape)
    return count.most_common(1)[0][0] if count else "float32"


def describe_kind(kind: str) -> str:
    """A kind with its article, as “a LoRA”."""
    known = {"lora": "a LoRA", "vae": "a VAE", "controlnet": "a ControlNet"}
    known["unet"] = "a denoiser alone, in diffusers format"
    article = "an" if kind[0] in "aeiou" else "a"
    return known.get(kind, "of an unknown format" if kind == "unknown" else f"{article} {kind}")
