"""What a file is: which kind, of which family, how it paints. By the names of its tensors."""

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
from dream.core.errors import ModelError

UNET = "model.diffusion_model."
"""What the denoiser's names begin with, in files of CompVis' and Stability's layout."""

_LEAST, _MOST = 64, 4096
"""Pixels along a side that a model may be at home in; other resolutions are nonsense."""

_VARIANTS = {4: "", 5: "depth", 9: "inpainting", 8: "instruct-pix2pix", 7: "x4-upscaler"}
"""By how many channels the denoiser takes."""

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
"""The first row of which a name in the file begins like the pattern."""

_WORDS = ("^cond_stage_model.", "^conditioner.embedders.")
"""What the names of text encoders begin with, in the layout that is loaded."""
_FOLDER = "load the whole model: a file that holds all of it, or its folder in diffusers layout"

_PLACES = {
    "lora": "it goes on top of a model, and dream cannot use LoRAs yet",
    "vae": "it takes the place of a model's own: --vae, or a folder VAE/ beside the models",
    "embedding": "it is a word for the prompt, and dream cannot use embeddings yet",
    "upscaler": "it enlarges pictures: --upscaler, or the folder upscalers/ beside the models",
    "controlnet": "it guides a model, and paints nothing alone",
    "ip-adapter": "it guides a model, and paints nothing alone",
    "unet": "load the whole model from its folder in diffusers layout, or by its hub id",
    "text encoder": "it is one part of a model: name the whole model",
}


@dataclass(frozen=True, kw_only=True)
class DetectedModel:
    """A file of weights, recognised by its header."""

    path: Path
    kind: str
    """"model", "lora", "vae", "embedding", "upscaler", "controlnet", "ip-adapter", "unet",
    "text encoder", another of `sorts.SORTS`, or "unknown"."""
    family: str = "other"
    """Of models: "sd1", "sd2", "sdxl", "sd3", "flux" or "other"."""
    variant: str = ""
    """Of models: "", "inpainting", "depth", "refiner", "instruct-pix2pix", "x4-upscaler" or
    "edm"."""
    prediction_type: str = "epsilon"
    """"epsilon" or "v_prediction"; see `prediction.prediction_type` for where it is read."""
    zero_snr: bool = False
    """Whether it was trained down to pure noise: Lin et al. 2023, arXiv:2305.08891."""
    size: tuple[int, int] = (512, 512)
    """Home width and height in pixels."""
    precision: str = "float32"
    """Number type of most of its weights: "float32", "float16", "bfloat16", "float8" …"""
    parameters: int = 0
    """Numbers in it, without the running averages of its training."""
    ema: bool = False
    """Whether it holds such averages too (`model_ema.`), which are not loaded."""
    format: str = "safetensors"
    """"safetensors", "zip" or "legacy"; the latter two are pickles."""
    code: tuple[str, ...] = ()
    """Of a pickle: what it would run. Such a file is never loaded."""
    called: str = ""
    """What it is, in words, where its kind does not say all; of a model, why it is not loaded."""
    place: str = ""
    """What to do with it, in words."""

    @property
    def is_inpainting(self) -> bool:
        """Whether its denoiser takes a mask and a masked picture too (9 channels)."""
        return self.variant == "inpainting"


def detect(path: Path) -> DetectedModel:
    """What the file at `path` is; a symlink is followed. A few milliseconds, whatever its size, and
    remembered as long as neither it nor a .yaml beside it changes.

    Raises ModelError for a file that cannot be read, is cut short, or is no file of weights. A
    pickle that would run code is recognised, but see `Recognised.code`.
    """
    return _recognise(path, _stamp(path), _stamp(path.with_suffix(".yaml")))


@lru_cache(maxsize=256)
def _recognise(path: Path, *stamps: object) -> DetectedModel:
    return classify(read_header(path))


def _stamp(path: Path) -> object:
    """Another one when the file changes; None for what is not there."""
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def require_model(path: Path) -> DetectedModel:
    """The same, for a file that must be a model dream can load. Raises ModelError that says what
    it is instead, and where it belongs; and for a pickle that would run code."""
    found = require_safe(path)
    if found.kind != "model":
        called = found.called or describe_kind(found.kind)
        raise ModelError(
            f"{path} is no model but {called}", found.place or get_usage_hint(found.kind)
        )
    if found.called:
        raise ModelError(f"{path} {found.called}", found.place)
    if found.variant in ("instruct-pix2pix", "x4-upscaler"):
        raise ModelError(f"{path} is a model for {found.variant}, which starts from a picture")
    if found.variant == "edm":
        raise ModelError(
            f"{path} is trained in EDM's way, which a single file does not tell enough of",
            "load it from its folder in diffusers layout, or by its hub id",
        )
    return found


def require_safe(path: Path) -> DetectedModel:
    """What a file is that runs nothing while it is loaded. Raises ModelError for one that would."""
    found = detect(path)
    if found.code:
        raise ModelError(
            f"{path} is refused: it would run {found.code[0]} while it is loaded",
            "weights need no code; get it as .safetensors, or convert it on a machine you can lose",
        )
    return found


def get_usage_hint(kind: str) -> str:
    """Where a file of that kind belongs, or that it has no use here, in words; empty for models and
    for the unknown."""
    return _PLACES.get(kind, "")


def classify(header: Header) -> DetectedModel:
    """What a header tells."""
    tensors = header.tensors
    names = TensorNames(tensors)
    whole = any(map(names.has, _WORDS))  # a whole model of a family that is loaded has its own
    sort = None if whole else find_file_kind(names)
    denoiser = None if whole or sort else find_denoiser(names)
    kind = "model" if denoiser else sort.kind if sort else _kind(header)
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
    if sort:
        return replace(common, called=sort.called, place=sort.place)
    if kind != "model":
        return common
    found = _model(common, header)
    called, place = _why_not_loaded(found, names)
    return replace(found, called=called, place=place)


def _why_not_loaded(found: DetectedModel, names: TensorNames) -> tuple[str, str]:
    """Of a file with Stable Diffusion's denoiser: what it lacks to be loaded, and what to do; both
    empty where it is whole."""
    if form := find_quantization(names):
        return f"has its weights in {form}, which is not supported", "get it in float16 or bfloat16"
    if found.family in ("sd1", "sd2", "sdxl"):
        return "", ""
    if names.has("^label_emb.0.0."):
        return "holds only the denoiser of Stable Diffusion XL", _FOLDER
    return "holds only the denoiser of Stable Diffusion, or of another model", _FOLDER


def _model(common: DetectedModel, header: Header) -> DetectedModel:
    family, variant = _family(header.tensors), _variant(header.tensors)
    prediction, zero_snr = detect_prediction_type(header, family, variant)
    return replace(
        common,
        family=family,
        variant=variant,
        prediction_type=prediction,
        zero_snr=zero_snr,
        size=_size(header.metadata, family, prediction),
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
    """By where the words come in, which holds for models of every width."""
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


def _size(metadata: Mapping[str, str], family: str, prediction: str) -> tuple[int, int]:
    """modelspec's resolution where the file has one, else the family's home."""
    said = re.fullmatch(
        r"(\d{2,4})(?:x(\d{2,4}))?", metadata.get("modelspec.resolution", ""), re.ASCII
    )
    if said:
        sides = int(said[1]), int(said[2] or said[1])
        if all(_LEAST <= side <= _MOST and side % 8 == 0 for side in sides):
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
    """A file of that kind, in words: “a LoRA”."""
    known = {"lora": "a LoRA", "vae": "a VAE", "controlnet": "a ControlNet"}
    known["unet"] = "the denoiser alone, with the names of diffusers"
    article = "an" if kind[0] in "aeiou" else "a"
    return known.get(kind, "something unknown" if kind == "unknown" else f"{article} {kind}")
