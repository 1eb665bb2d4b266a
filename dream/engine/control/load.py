"""Loads a control model as a module of diffusers, from a folder or a single file; offline.

The configuration of a file is inferred from its shapes. A weight that is missing, unused or of
another shape is an error: nothing is ever half loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights

from dream.catalogue.config_limits import check_model_folder
from dream.catalogue.control_info import FOLDER, ControlInfo
from dream.catalogue.detect.control_family import CONTROL_LORA, CONTROLNET, T2I_ADAPTER, UNION
from dream.catalogue.detect.require import require_supported
from dream.catalogue.weight_files import find_weights
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError
from dream.engine.control.blockwise_net import BlockwiseControlNetModel
from dream.engine.control.control_lora import complete_control_lora
from dream.engine.control.controlnet_config import (
    infer_controlnet_config,
    infer_union_config,
    rename_controlnet,
)
from dream.engine.control.t2i_adapter import infer_t2i_config, rename_t2i_adapter
from dream.engine.control.transformer_control_config import (
    TRANSFORMER_FAMILIES,
    infer_transformer_control,
)
from dream.engine.control.transformer_names import convert_transformer_control
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.mmap_file import MappedFile
from dream.engine.loading.weight_copy import load_weights, missing_weights_error
from dream.engine.memory.device import Placement
from dream.engine.silence_libraries import silence_libraries

_PREFIX = "control_model."
_CONFIG = "config.json"

Tensors = Mapping[str, torch.Tensor]

CONTROL_CLASSES: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        diffusers.ControlNetModel,
        diffusers.ControlNetUnionModel,
        diffusers.T2IAdapter,
        diffusers.SD3ControlNetModel,
        diffusers.FluxControlNetModel,
        diffusers.QwenImageControlNetModel,
        diffusers.ZImageControlNetModel,
        diffusers.SanaControlNetModel,
        diffusers.HunyuanDiT2DControlNetModel,
        BlockwiseControlNetModel,
    )
}
"""The classes that are loaded, by name: diffusers', and one of ours."""


_REFUSALS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RuntimeError, TypeError, ValueError),
)
"""What diffusers raises for a configuration that no model has."""


def load_control(info: ControlInfo, placement: Placement, unet: Any = None) -> torch.nn.Module:
    """The control model, in diffusers' class, on its device.

    unet: the denoiser of the model that it is used with, for what a file does not say; a
    control-LoRA adds to its weights, so no LoRA may be merged into them then. Raises ModelError
    for a file that is broken, incomplete, or would run code.
    """
    try:
        if info.form == FOLDER:
            return _load_folder(info.path, placement)
        return _load_file(info, placement, unet)
    except KeyError as error:
        raise missing_weights_error(info.path, str(error.args[0])) from error
    except (IndexError, ValueError, ArithmeticError) as error:  # of shapes that no model has
        raise _unsupported(info.path) from error


def list_control_files(info: ControlInfo) -> tuple[Path, ...]:
    """The weight files of a control model, to hash. Raises ModelError."""
    if info.path.is_dir():
        return find_weights(info.path.parent, {info.path.name: "diffusers"}).files
    return (info.path,)


def _load_folder(folder: Path, placement: Placement) -> torch.nn.Module:
    check_model_folder(folder)
    try:
        config = read_json(folder / _CONFIG)
        kind = str(config["_class_name"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{folder / _CONFIG} cannot be read", "copy the folder again") from error
    model = _build_empty(kind, config, folder)
    files = find_weights(folder.parent, {folder.name: "diffusers"}).files
    opened = [open_tensors(path, require_supported(path).format) for path in files]
    weights: dict[str, torch.Tensor] = {}
    for one in opened:
        weights |= one.tensors
    return _build(model, weights, folder, placement, opened)


def _load_file(info: ControlInfo, placement: Placement, unet: Any) -> torch.nn.Module:
    mapped = open_tensors(info.path, require_supported(info.path).format)
    weights = _own_weights(mapped.tensors)
    kind, weights, config = _READERS[info.kind](info, weights, unet)
    model = _build_empty(kind, config, info.path)
    return _build(model, weights, info.path, placement, [mapped])


Read = tuple[str, dict[str, torch.Tensor], dict[str, Any]]
"""The class, the weights by its names, and its configuration."""


def _read_controlnet(info: ControlInfo, weights: Tensors, unet: Any) -> Read:
    if info.family in TRANSFORMER_FAMILIES:
        return _read_transformer(info, weights, unet)
    renamed = _rename(weights, rename_controlnet(weights))
    time_width = getattr(getattr(unet, "config", None), "addition_time_embed_dim", None) or 0
    config = infer_controlnet_config(renamed, info.family, time_width)
    return "ControlNetModel", renamed, config


def _read_transformer(info: ControlInfo, weights: Tensors, denoiser: Any) -> Read:
    """A ControlNet for a transformer."""
    renamed = convert_transformer_control(info.family, weights)
    base = getattr(denoiser, "config", {})
    kind, config = infer_transformer_control(info.family, renamed, base)
    return kind, renamed, config


def _read_union(info: ControlInfo, weights: Tensors, unet: Any) -> Read:
    if info.family in TRANSFORMER_FAMILIES:
        return _read_transformer(info, weights, unet)
    _, renamed, config = _read_controlnet(info, weights, unet)
    config.pop("mid_block_type", None)
    return "ControlNetUnionModel", renamed, config | infer_union_config(renamed)


def _read_control_lora(info: ControlInfo, weights: Tensors, unet: Any) -> Read:
    renamed = _rename(weights, rename_controlnet(weights))
    return "ControlNetModel", *complete_control_lora(renamed, unet, info.path)


def _read_t2i_adapter(info: ControlInfo, weights: Tensors, unet: Any) -> Read:
    renamed = _rename(weights, rename_t2i_adapter(weights))
    return "T2IAdapter", renamed, infer_t2i_config(renamed)


_READERS: Mapping[str, Callable[[ControlInfo, Tensors, Any], Read]] = {
    CONTROLNET: _read_controlnet,
    UNION: _read_union,
    CONTROL_LORA: _read_control_lora,
    T2I_ADAPTER: _read_t2i_adapter,
}


def _rename(weights: Tensors, names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    return {names[name]: tensor for name, tensor in weights.items()}


def _own_weights(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The ControlNet's weights, without their prefix, of a file that may have the model too."""
    if not any(name.startswith(_PREFIX) for name in tensors):
        return dict(tensors)
    return {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(_PREFIX)
    }


def _build_empty(kind: str, config: Mapping[str, Any], path: Path) -> Any:
    """The module, without memory for its weights. Raises ModelError for a configuration that no
    such module has."""
    try:
        with silence_libraries(), init_empty_weights():
            return CONTROL_CLASSES[kind].from_config(config)
    except _REFUSALS as error:
        raise _unsupported(path) from error


def _unsupported(path: Path) -> ModelError:
    return ModelError(
        f"{path} cannot be loaded: its architecture is not supported",
        "use its folder in diffusers layout, if there is one",
    )


def _build(
    model: Any, weights: Tensors, path: Path, placement: Placement, files: list[MappedFile]
) -> torch.nn.Module:
    loaded = load_weights(model, weights, path, placement, files)
    assert isinstance(loaded, torch.nn.Module)
    return loaded.requires_grad_(False)
