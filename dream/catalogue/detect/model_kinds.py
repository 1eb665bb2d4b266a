"""Detects a weights file's kind, family, variant and prediction type from its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from math import prod
from pathlib import Path

from dream.catalogue.detect.control_family import (
    CONTROL_FILE_KINDS,
    IP_ADAPTER,
    detect_control_family,
    detect_image_projection,
    read_control_details,
)
from dream.catalogue.detect.detected_model import DetectedModel
from dream.catalogue.detect.file_kinds import find_file_kind
from dream.catalogue.detect.gguf import ARCHITECTURE
from dream.catalogue.detect.headers import Header, read_header
from dream.catalogue.detect.lone_unets import LoneUnet, find_lone_unet
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.detect.model_marks import find_marks
from dream.catalogue.detect.native_size import read_native_size
from dream.catalogue.detect.number_formats import find_unsupported
from dream.catalogue.detect.pieces import DENOISER, Piece, find_pieces, find_vision_tower
from dream.catalogue.detect.prediction import detect_prediction_type
from dream.catalogue.detect.split_models import classify_denoiser, classify_part
from dream.catalogue.detect.tensor_names import TensorNames
from dream.catalogue.detect.tensors import TensorHeader
from dream.catalogue.detect.upscaler_architectures import find_architecture
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp

UNET = "model.diffusion_model."
"""Prefix of the denoiser's tensor names in files of CompVis' and Stability's layout."""

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
    ("unet", r"down_blocks\.\d+\.(resnets|attentions)\.|(single_)?transformer_blocks\.0\."),
    ("text encoder", r"(text_model|encoder)\.(embeddings|encoder|block)\.|shared\.weight$"),
)
"""Kind and pattern; the first row whose pattern matches the start of a tensor name is used."""

_TEXT_ENCODERS = ("^cond_stage_model.", "^conditioner.embedders.")
"""Prefixes of text encoders' tensor names in the layout that is loaded."""
_FOLDER = "use the whole model: a file with all of its parts, or its folder in diffusers layout"

_USAGE_HINTS = {
    "lora": "use it with --lora NAME; put it into loras/ in a models folder",
    "vae": "use it with --vae FILE, or put it into VAE/ in a models folder",
    "embedding": "use its name in a prompt; put it into embeddings/ in a models folder",
    "upscaler": "use it with --upscaler FILE, or put it into upscalers/ in a models folder",
    "controlnet": "use it with --control KIND=FILE; put it into controlnet/ in a models folder",
    "ip-adapter": "use it with --image_prompt FILE; put it into ipadapter/ in a models folder",
    "unet": "load the whole model from its folder in diffusers layout, or by its hub id",
    "text encoder": "put it into text_encoders/ in a models folder, where its models find it",
}


def detect(path: Path) -> DetectedModel:
    """Detect what the file at `path` is; symlinks are followed. Takes a few milliseconds; the
    result, or what is wrong with its content, is cached until the file or the .yaml beside it
    changes.

    Raises ModelError for a file that cannot be read, is truncated, or is not a weights file. A
    pickle that would run code does not raise; see `DetectedModel.code`.
    """
    stamps = get_file_stamp(path), get_file_stamp(path.with_suffix(".yaml"))
    if isinstance(found := _detect_cached(path, *stamps), ModelError):
        raise ModelError(found.message, found.hint)
    return found


@lru_cache(maxsize=2048)
def _detect_cached(path: Path, *stamps: object) -> DetectedModel | ModelError:
    """Raises ModelError for a file that cannot be read now."""
    try:
        return classify(read_header(path))
    except ModelError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return ModelError(error.message, error.hint)


def get_usage_hint(kind: str) -> str:
    """A hint how to use a file of that kind, or that it is not supported; empty for models and
    unknown files."""
    return _USAGE_HINTS.get(kind, "")


def classify(header: Header) -> DetectedModel:
    """Detect what a file is from its header."""
    detected = _with_details(_classify(header), header)
    if unsupported := find_unsupported(header.number_format):
        called = f"has {unsupported.name} weights, which are not supported"
        hint = unsupported.hint
        if unsupported.package:
            hint += f", or a folder in diffusers layout, with the package {unsupported.package}"
        return replace(detected, called=called, place=hint, refused=True)
    return detected


def _with_details(detected: DetectedModel, header: Header) -> DetectedModel:
    """With what is not about its kind."""
    start = detected.pieces[0].prefix if detected.pieces else ""
    size = read_native_size(header.metadata)
    return replace(
        detected,
        number_format=header.number_format,
        size=size or detected.size,
        says_size=size is not None,
        title=header.metadata.get("modelspec.title", ""),
        marks=find_marks(header.tensors, start),
    )


def _classify(header: Header) -> DetectedModel:
    tensors = header.tensors
    names = TensorNames(tensors)
    # a complete model of a supported family has text encoders
    whole = any(map(names.has, _TEXT_ENCODERS))
    file_kind = None if whole else find_file_kind(names)
    architecture = header.metadata.get(ARCHITECTURE, "") if header.format == "gguf" else ""
    pieces = () if whole or file_kind else find_pieces(tensors, architecture)
    common = _common(header)
    if pieces and pieces[0].role == DENOISER:
        return classify_denoiser(common, header, pieces)
    if file_kind:
        found = replace(common, kind=file_kind.kind, called=file_kind.called, place=file_kind.place)
        if header.format == "gguf" and (tower := find_vision_tower(tensors)):
            found = replace(found, pieces=(tower,))
        return _with_control_family(found, header)
    if common.kind in CONTROL_FILE_KINDS:  # in a file that has the whole model too
        return _with_control_family(common, header)
    if len(pieces) == 1 and common.kind not in ("lora", "model"):
        return classify_part(common, pieces)
    if common.kind == "unknown" and header.format == "gguf":
        return replace(common, called=_describe_gguf(header))
    if not whole and common.kind in ("model", "unet") and (unet := find_lone_unet(tensors)):
        return _classify_lone_unet(common, header, unet)
    if common.kind != "model":
        return common
    detected = _detect_model(common, header, _family(tensors), _variant(tensors))
    called, place = _why_not_loaded(detected)
    return replace(detected, called=called, place=place)


def _with_control_family(detected: DetectedModel, header: Header) -> DetectedModel:
    """For a control file or an IP-Adapter: with its family, and what it is called."""
    kind, tensors = detected.kind, header.tensors
    if kind != IP_ADAPTER and kind not in CONTROL_FILE_KINDS:
        return detected
    family = detect_control_family(kind, tensors)
    called = detected.called or describe_kind(kind)
    variant = detect_image_projection(tensors) if kind == IP_ADAPTER else ""
    if family:
        called = f"{called} for {describe_family(family)}"
    details = read_control_details(tensors, header.metadata) if kind != IP_ADAPTER else None
    return replace(
        detected, family=family or "other", variant=variant, called=called, control=details
    )


def _classify_lone_unet(common: DetectedModel, header: Header, unet: LoneUnet) -> DetectedModel:
    variant = "refiner" if unet.refiner else _VARIANTS.get(unet.channels, "")
    detected = _detect_model(common, header, unet.family, variant)
    piece = Piece(DENOISER, unet.family, unet.prefix, unet.channels)
    return replace(detected, kind="model", lone_unet=unet.layout, pieces=(piece,))


def _common(header: Header) -> DetectedModel:
    tensors = header.tensors
    weights = {name: row for name, row in tensors.items() if not name.startswith("model_ema.")}
    return DetectedModel(
        path=header.path,
        kind=_kind(header),
        precision=_precision(weights),
        parameters=sum(prod(row.shape) for row in weights.values()),
        ema=len(weights) < len(tensors),
        format=header.format,
        code=header.code,
    )


def _describe_gguf(header: Header) -> str:
    architecture = header.metadata.get(ARCHITECTURE, "")
    known = re.fullmatch(r"[\w.-]{1,40}", architecture, re.ASCII)
    return f"a GGUF file of “{architecture}”" if known else "a GGUF file"


def _why_not_loaded(detected: DetectedModel) -> tuple[str, str]:
    """For a file with Stable Diffusion's denoiser: why it cannot be loaded, and what to do; both
    empty if it can."""
    if detected.family in ("sd1", "sd2", "sdxl"):
        return "", ""
    return "contains only the denoiser of Stable Diffusion or another model", _FOLDER


def _detect_model(
    common: DetectedModel, header: Header, family: str, variant: str
) -> DetectedModel:
    prediction, zero_snr = detect_prediction_type(header, family, variant)
    side = _stable_side(family, prediction)
    return replace(
        common,
        family=family,
        variant=variant,
        prediction_type=prediction,
        zero_snr=zero_snr,
        size=(side, side),
    )


def _kind(header: Header) -> str:
    names = header.tensors
    text = "\n".join(names)
    for kind, pattern in _KINDS:
        if re.compile(f"^(?:{pattern})", re.MULTILINE).search(text):
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


def _stable_side(family: str, prediction: str) -> int:
    if family == "sd2" and prediction == "v_prediction":
        return 768
    return 1024 if family == "sdxl" else 512


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
