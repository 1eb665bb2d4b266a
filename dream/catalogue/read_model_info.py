"""Reads a ModelInfo from a folder in diffusers layout (configuration and card.toml), or from the
header of a single file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.catalogue.code_check import refuse_code, refuse_irregular
from dream.catalogue.discovery import INDEX, UPSCALER
from dream.catalogue.model_info import LatentRgbFactors, ModelInfo
from dream.catalogue.models_toml import Complain, read_toml, validate_entries
from dream.catalogue.pipeline_support import check_supported
from dream.catalogue.vocabulary import read_vocabulary
from dream.core import bounded_reading as reading
from dream.core.errors import ModelError
from dream.core.request import FLAGS
from dream.options.option_type import OptionType

_FAMILIES = {
    "StableDiffusionXL": "sdxl",
    "StableDiffusion3": "sd3",
    "StableDiffusion": "sd1",
    "Flux": "flux",
}
"""The start of a pipeline's class name → family; the longer names first."""

_VARIANT_BY_CHANNELS = {9: "inpainting", 5: "depth"}
"""Input channels of a denoiser → variant: 4 latents, plus a mask and a masked image, or a depth
map."""
_MIN_MULTIPLES = {"Sana": 32}
"""The multiple of an image's sides, for pipelines that need more than their components do."""
_SD2_TEXT_WIDTH = 1024
_DEFAULT_VAE_FACTOR = 8
"""Pixels per latent, if the VAE's configuration does not say."""
_PATCH_SIZE = 2
"""Latents along a side of a transformer's patch; a UNet has no patches."""
_MAX_VAE_LEVELS = 9
"""Maximum levels of a VAE: 256 pixels per latent."""
_NATIVE_SIZES = {"sd1": 512, "sd2": 512}
_DEFAULT_NATIVE_SIZE = 1024
_GUIDANCE = {"sdxl": 5.0, "sd3": 7.0, "flux": 3.5}
_PIPELINE_GUIDANCE = {
    "AuraFlow": 3.5,
    "Chroma": 5.0,
    "CogView": 5.0,
    "Flux2": 4.0,
    "HunyuanDiT": 5.0,
    "Kandinsky3": 3.0,
    "Krea2": 4.5,
    "LatentConsistency": 8.5,
    "Lumina": 4.0,
    "Ovis": 5.0,
    "PRX": 4.0,
    "PixArt": 4.5,
    "QwenImage": 4.0,
    "Sana": 4.5,
    "ZImage": 5.0,
}
"""diffusers' defaults that differ from Stable Diffusion 1's 7.5: by family, and for family “other”
by the start of the pipeline's name."""


_ZERO_SNR_RESCALE = 0.7
"""Guidance rescale for models trained down to pure noise (zero terminal SNR), as the paper of both
recommends: Lin et al. 2023, arXiv:2305.08891, section 5.3."""


def read_model(name: str, path: Path, complain: Complain) -> ModelInfo:
    """The ModelInfo of a folder or a single file. Raises ModelError if it is not a model."""
    return read_file(name, path) if path.is_file() else read_folder(name, path, complain)


def read_file(name: str, path: Path) -> ModelInfo:
    """The ModelInfo of a single file, from its header. Raises ModelError, which says what the file
    is instead, and how to use it."""
    # Imported late: folders do not need it.
    from dream.catalogue.detect import require_model

    detected = require_model(path)
    width, height = detected.size
    return ModelInfo(
        name=name,
        path=path,
        family=detected.family,
        variant=detected.variant,
        width=width,
        height=height,
        cfg_scale=_GUIDANCE.get(detected.family, ModelInfo.cfg_scale),
        cfg_rescale=_ZERO_SNR_RESCALE if detected.zero_snr else 0.0,
        averages=detected.ema,
    )


def read_folder(name: str, folder: Path, complain: Complain) -> ModelInfo:
    """The ModelInfo of a folder in diffusers layout. Raises ModelError if it is not a model."""
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} is not a model in diffusers layout: it has no {INDEX}")
    info = _read_configuration(name, folder)
    path = folder / "card.toml"
    table = read_toml(path, complain)
    preview = table.pop("preview", None)
    knows = read_vocabulary(table.pop("knows", {}), str(path), complain)
    info = replace(info, **validate_entries(table, str(path), complain), knows=knows)
    return (
        info if preview is None else replace(info, preview=_read_preview(preview, path, complain))
    )


def _read_configuration(name: str, folder: Path) -> ModelInfo:
    index = _read_json(folder / INDEX)
    if index.get("_class_name") == UPSCALER:
        raise ModelError(f"{folder} is an upscaler, not a model", "use it with -U4 --upscaler")
    refuse_irregular(folder)
    refuse_code(folder, index)
    pipeline = str(index.get("_class_name", ""))
    net = _read_json(folder / "unet" / "config.json", folder / "transformer" / "config.json")
    vae = _read_json(folder / "vae" / "config.json")
    check_supported(folder, index.get("_class_name"), net, vae)
    family = _family(pipeline, net)
    factor = _vae_factor(vae)
    height, width = _sides(net.get("sample_size"), FLAGS["width"].kind, factor)
    native = _NATIVE_SIZES.get(family, _DEFAULT_NATIVE_SIZE)
    patched = (folder / "transformer").is_dir()
    least = next((m for start, m in _MIN_MULTIPLES.items() if pipeline.startswith(start)), 1)
    return ModelInfo(
        name=name,
        path=folder,
        family=family,
        variant=_variant(index, net),
        width=width or native,
        height=height or native,
        multiple=max(factor * _PATCH_SIZE if patched else factor, least),
        cfg_scale=_guidance(pipeline, family),
        cfg_rescale=_rescale(folder, family),
    )


def _vae_factor(vae: Mapping[str, Any]) -> int:
    """Pixels per latent, along a side."""
    blocks = vae.get("block_out_channels", vae.get("encoder_block_out_channels"))
    levels = len(blocks) if isinstance(blocks, list) else 0
    return 2 ** (levels - 1) if 0 < levels <= _MAX_VAE_LEVELS else _DEFAULT_VAE_FACTOR


def _guidance(pipeline: str, family: str) -> float:
    matching = (scale for start, scale in _PIPELINE_GUIDANCE.items() if pipeline.startswith(start))
    return next(matching, _GUIDANCE.get(family, ModelInfo.cfg_scale))


def _rescale(folder: Path, family: str) -> float:
    """Guidance rescale; pipelines of other families cannot do it."""
    if family not in ("sd1", "sd2", "sdxl"):
        return 0.0
    noise = _read_json(folder / "scheduler" / "scheduler_config.json")
    return _ZERO_SNR_RESCALE if noise.get("rescale_betas_zero_snr") is True else 0.0


def _family(pipeline: str, net: Mapping[str, Any]) -> str:
    family = next((f for start, f in _FAMILIES.items() if pipeline.startswith(start)), "other")
    if pipeline.startswith("Flux2"):  # other latents, another text encoder
        return "other"
    if family == "sd1" and net.get("cross_attention_dim") == _SD2_TEXT_WIDTH:
        return "sd2"
    return family


def _variant(index: Mapping[str, Any], net: Mapping[str, Any]) -> str:
    if index.get("requires_aesthetics_score") is True:
        return "refiner"
    channels = net.get("in_channels")
    return _VARIANT_BY_CHANNELS.get(channels, "") if isinstance(channels, int) else ""


def _sides(sample_size: object, kind: OptionType[int], factor: int) -> tuple[int, int]:
    """Height and width in pixels, from the latents' size; 0 if the configuration does not say, or
    the size is not valid."""
    match sample_size:
        case int(side) | [int(side)]:
            sides = side, side
        case [int(height), int(width)]:
            sides = height, width
        case _:
            return 0, 0
    try:
        height, width = (kind.read([str(side * factor)]) for side in sides)
    except ValueError:
        return 0, 0
    return height, width


def _read_preview(table: object, path: Path, complain: Complain) -> LatentRgbFactors | None:
    match table:
        case {"matrix": [*rows], "bias": bias, **rest} if not rest:
            triples = [_read_triple(row) for row in [*rows, bias]]
            valid = [triple for triple in triples if triple is not None]
            if len(valid) == len(triples) > 1:
                return LatentRgbFactors(matrix=tuple(valid[:-1]), bias=valid[-1])
    complain(f"{path}: [preview] takes matrix (rows of three numbers) and bias (three numbers)")
    return None


def _read_triple(row: object) -> tuple[float, float, float] | None:
    match row:
        case [int() | float() as r, int() | float() as g, int() | float() as b]:
            return (float(r), float(g), float(b))
        case _:
            return None


def _read_json(*places: Path) -> dict[str, Any]:
    """The content of the first of these files that exists; empty if none does."""
    for path in places:
        try:
            table = reading.read_json(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            reason = reading.explain_error(error)
            raise ModelError(
                f"{path} cannot be read: {reason}", "download the model again"
            ) from error
        if not isinstance(table, dict):
            raise ModelError(f"{path} is not a table", "download the model again")
        return table
    return {}
