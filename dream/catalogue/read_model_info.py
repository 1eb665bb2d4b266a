"""Reads a ModelInfo from a folder in diffusers layout (configuration and card.toml), or from the
header of a single file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.catalogue.code_check import refuse_code, refuse_irregular
from dream.catalogue.discovery import INDEX, UPSCALER
from dream.catalogue.model_defaults import apply_distilled, apply_family_defaults
from dream.catalogue.model_info import LatentRgbFactors, ModelInfo
from dream.catalogue.models_toml import Complain, read_toml, validate_entries
from dream.catalogue.pipeline_support import check_supported, find_pipeline_family
from dream.catalogue.vocabulary import read_vocabulary
from dream.core import bounded_reading as reading
from dream.core.errors import ModelError
from dream.core.request import FLAGS
from dream.options.editors import detect_editor, find_editor_of_pipeline
from dream.options.family import Family
from dream.options.family_table import get_family
from dream.options.option_type import OptionType

_VARIANT_BY_CHANNELS = {9: "inpainting", 5: "depth"}
"""Input channels of a denoiser → variant: 4 latents, plus a mask and a masked image, or a depth
map."""
_SD2_TEXT_WIDTH = 1024
_DEFAULT_VAE_FACTOR = 8
"""Pixels per latent, if the VAE's configuration does not say."""
_PATCH_SIZE = 2
"""Latents along a side of a transformer's patch; a UNet has no patches."""
_SPLIT_MULTIPLE = 16
"""The multiple of an image's sides, for the families whose models are in several files."""
_MAX_VAE_LEVELS = 9
"""Maximum levels of a VAE: 256 pixels per latent."""
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
    row = get_family(detected.family)
    info = ModelInfo(
        name=name,
        path=path,
        family=detected.family,
        variant=detected.variant,
        multiple=max(_SPLIT_MULTIPLE, row.multiple) if detected.wanted else ModelInfo.multiple,
        averages=detected.ema,
        number_format=detected.number_format,
    )
    origin = "the file's metadata" if detected.says_size else f"usual for {row.title}"
    info = _with_zero_snr(info.with_defaults(origin, width=width, height=height), detected.zero_snr)
    title, marks = detected.title, detected.marks
    titles = (title, "the file's metadata"), (path.stem, "its name"), (Path(name).name, "its name")
    if not info.variant and (found := detect_editor(info.family, marks, titles)):
        info = replace(info, edits=found[0].key, edits_from=found[1])
    return apply_distilled(apply_family_defaults(info), (path.stem, name), marks=marks, title=title)


def read_folder(name: str, folder: Path, complain: Complain) -> ModelInfo:
    """The ModelInfo of a folder in diffusers layout. Raises ModelError if it is not a model."""
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} is not a model in diffusers layout: it has no {INDEX}")
    info = _read_configuration(name, folder)
    path = folder / "card.toml"
    table = read_toml(path, complain)
    preview = table.pop("preview", None)
    knows = read_vocabulary(table.pop("knows", {}), str(path), complain)
    values = validate_entries(table, str(path), complain)
    info = replace(info.with_defaults(path.name, **values), knows=knows)
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
    row = get_family(family)
    factor = _vae_factor(vae)
    height, width = _sides(net.get("sample_size"), FLAGS["width"].kind, factor)
    patched = (folder / "transformer").is_dir()
    info = ModelInfo(
        name=name,
        path=folder,
        family=family,
        variant=_variant(index, net) or _find_wide_variant(row, pipeline),
        multiple=max(factor * _PATCH_SIZE if patched else factor, row.multiple),
    )
    origin = "its configuration" if width else f"usual for {row.title}"
    info = info.with_defaults(origin, width=width or row.side, height=height or row.side)
    info = _with_zero_snr(info, _has_zero_snr(folder, family))
    if editor := find_editor_of_pipeline(family, pipeline):
        info = replace(info, edits=editor.key)
    noise = _read_json(folder / "scheduler" / "scheduler_config.json")
    return apply_distilled(
        apply_family_defaults(info, noise),
        (folder.name, name),
        index=index,
        scheduler=noise,
        marks=frozenset() if net.get("guidance_embeds") is False else None,
    )


def _vae_factor(vae: Mapping[str, Any]) -> int:
    """Pixels per latent, along a side."""
    blocks = vae.get("block_out_channels", vae.get("encoder_block_out_channels"))
    levels = len(blocks) if isinstance(blocks, list) else 0
    return 2 ** (levels - 1) if 0 < levels <= _MAX_VAE_LEVELS else _DEFAULT_VAE_FACTOR


def _with_zero_snr(info: ModelInfo, zero_snr: bool) -> ModelInfo:
    if not zero_snr:
        return info
    return info.with_defaults("its zero terminal SNR", cfg_rescale=_ZERO_SNR_RESCALE)


def _has_zero_snr(folder: Path, family: str) -> bool:
    """Whether it was trained so; pipelines of families without a UNet cannot rescale guidance."""
    if not get_family(family).stable:
        return False
    noise = _read_json(folder / "scheduler" / "scheduler_config.json")
    return noise.get("rescale_betas_zero_snr") is True


def _family(pipeline: str, net: Mapping[str, Any]) -> str:
    """The key of its row in the table of families."""
    row = find_pipeline_family(pipeline)
    family = row.key if row else "other"
    if family == "sd1" and net.get("cross_attention_dim") == _SD2_TEXT_WIDTH:
        return "sd2"
    return family


def _variant(index: Mapping[str, Any], net: Mapping[str, Any]) -> str:
    if index.get("requires_aesthetics_score") is True:
        return "refiner"
    channels = net.get("in_channels")
    return _VARIANT_BY_CHANNELS.get(channels, "") if isinstance(channels, int) else ""


def _find_wide_variant(family: Family, pipeline: str) -> str:
    names = {f"{row.pipeline}Pipeline": row.variant for row in family.wide}
    return names.get(pipeline, "")


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
