"""ControlInfo: what a control file, or a folder in diffusers layout, says about itself in its
header or its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.catalogue.detect import detect
from dream.catalogue.detect.control_family import (
    CONTROL_FILE_KINDS,
    CONTROLNET,
    T2I_ADAPTER,
    UNION,
)
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.detect.require import require_supported
from dream.catalogue.detect.unet_header import FAMILIES_BY_TEXT, UNKNOWN_WIDTHS, UNetWidths
from dream.catalogue.discovery import TRANSFORMERS_INDEX
from dream.catalogue.unet_widths import get_configured_widths
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError
from dream.options.union_modes import UNION_MODES, UNNUMBERED_UNIONS

FOLDER, DIFFUSERS, ORIGINAL = "folder", "diffusers", "original"
"""Forms of a control model: a folder in diffusers layout; a file with diffusers' names; a file with
the names of the program that it was trained with."""

_CLASSES: Mapping[str, tuple[str, str]] = {
    "ControlNetModel": (CONTROLNET, ""),
    "ControlNetUnionModel": (UNION, "sdxl"),
    "T2IAdapter": (T2I_ADAPTER, ""),
    "SD3ControlNetModel": (CONTROLNET, "sd3"),
    "FluxControlNetModel": (CONTROLNET, "flux"),
    "QwenImageControlNetModel": (CONTROLNET, "qwen-image"),
    "ZImageControlNetModel": (CONTROLNET, "z-image"),
    "SanaControlNetModel": (CONTROLNET, "sana"),
    "HunyuanDiT2DControlNetModel": (CONTROLNET, "hunyuan-dit"),
}
"""Kind and family by the class in a folder's configuration."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    "canny": ("canny",),
    "depth": ("depth", "midas", "zoe"),
    "pose": ("pose", "openpose", "dwpose", "keypose"),
    "seg": ("seg", "segmentation", "ade20k"),
    "scribble": ("scribble", "sketch"),
    "lineart": ("lineart", "mistoline"),
    "softedge": ("softedge", "hed", "pidi", "pidinet", "teed", "mistoline"),
    "normal": ("normal",),
    "tile": ("tile", "blur"),
    "qr": ("qr", "qrcode", "qrpattern", "monster", "brightness"),
    "inpaint": ("inpaint", "repaint"),
}
"""Words in the names of files for each kind of control image (`options.control`)."""

_SPLIT = re.compile(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])")
_LONG = 5
"""Letters from which a word of `_WORDS` may be part of a longer one, as in OpenPoseXL2."""


@dataclass(frozen=True, kw_only=True)
class ControlInfo:
    """A control model on disk."""

    name: str
    """Its name in `--control_model` and in the log."""
    path: Path
    """A file, or a folder in diffusers layout."""
    kind: str
    """One of `control_family.CONTROL_FILE_KINDS`."""
    family: str = ""
    """The key of a family of models; empty if unknown."""
    form: str = ORIGINAL
    """FOLDER, DIFFUSERS or ORIGINAL."""
    controls: tuple[str, ...] = ()
    """The kinds of control image that it is for, as far as its name or its metadata says."""
    widths: UNetWidths = UNKNOWN_WIDTHS
    """What it has in common with a UNet."""

    @property
    def title(self) -> str:
        """Kind and family, as “a ControlNet for Stable Diffusion 1”."""
        called = _CALLED[self.kind]
        return f"{called} for {describe_family(self.family)}" if self.family else called


_CALLED = {
    CONTROLNET: "a ControlNet",
    UNION: "a union ControlNet",
    "control-lora": "a control-LoRA",
    T2I_ADAPTER: "a T2I-Adapter",
}


def read_control_info(name: str, path: Path) -> ControlInfo:
    """Read a file's header, or a folder's configuration. Raises ModelError for one that cannot be
    read, is not supported, or is not a control model."""
    return _read_folder(name, path) if path.is_dir() else _read_file(name, path)


def is_control_file(path: Path) -> bool:
    """Whether a file is a control model that can be read."""
    try:
        return detect(path).kind in CONTROL_FILE_KINDS
    except ModelError:
        return False


def is_control_folder(folder: Path) -> bool:
    """Whether a folder's configuration names a control model of diffusers."""
    return _read_config(folder).get("_class_name") in _CLASSES


def fits(info: ControlInfo, family: str, widths: UNetWidths = UNKNOWN_WIDTHS) -> bool:
    """Whether a control model may be for models of a family whose UNets have these widths. Those of
    unknown family, and all for models of family “other”, may."""
    if not info.widths.fits(widths):
        return False
    return not info.family or family == "other" or info.family == family


def _read_folder(name: str, folder: Path) -> ControlInfo:
    config = _read_config(folder)
    kind, family = _CLASSES.get(str(config.get("_class_name")), ("", ""))
    if not kind:
        raise ModelError(
            f"{folder} is not a control model in diffusers layout",
            f"choose a folder whose {TRANSFORMERS_INDEX} names a ControlNet or a T2I-Adapter",
        )
    if kind == T2I_ADAPTER:
        family = "sdxl" if str(config.get("adapter_type")).endswith("_xl") else "sd1"
    width = config.get("cross_attention_dim")
    if not family and isinstance(width, int):
        family = FAMILIES_BY_TEXT.get(width, "")
    if family == "flux" and config.get("num_mode"):
        kind = UNION
    types = config.get("num_control_type") or config.get("num_mode")
    types = types if isinstance(types, int) else 0
    controls = find_controls(kind, family, types, (name, folder.name))
    return ControlInfo(
        name=name,
        path=folder,
        kind=kind,
        family=family,
        form=FOLDER,
        controls=controls,
        widths=get_configured_widths(config),
    )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / TRANSFORMERS_INDEX)
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _read_file(name: str, path: Path) -> ControlInfo:
    detected = require_supported(path)
    if (details := detected.control) is None:
        from dream.catalogue.detect.model_kinds import describe_kind, get_usage_hint

        called = detected.called or describe_kind(detected.kind)
        hint = detected.place or get_usage_hint(detected.kind)
        raise ModelError(f"{path} is {called}, not a control model", hint)
    family = "" if detected.family == "other" else detected.family
    texts = (name, path.stem, *details.titles)
    return ControlInfo(
        name=name,
        path=path,
        kind=detected.kind,
        family=family,
        form=DIFFUSERS if details.plain else ORIGINAL,
        controls=find_controls(detected.kind, family, details.types, texts),
        widths=details.widths,
    )


def find_controls(kind: str, family: str, types: int, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of control image that a model is for: of a union as many as it has types, else
    those that its name or title has."""
    if kind == UNION:
        modes = UNION_MODES.get(family, {})
        return tuple(control for control, number in modes.items() if number < types)
    for text in texts:
        plain = text.casefold()
        words = set(_SPLIT.split(plain))
        named = tuple(
            control
            for control, names in _WORDS.items()
            if any(name in words or (len(name) >= _LONG and name in plain) for name in names)
        )
        if named:
            return named
        if "union" in words:
            return UNNUMBERED_UNIONS.get(family, ())
    return ()


def find_union_mode(info: ControlInfo, control: str) -> int | None:
    """The number by which a union knows a kind of control image; None for other models. Raises
    ModelError for a kind that it was not trained on."""
    if info.kind != UNION:
        return None
    if control not in info.controls:
        raise ModelError(
            f"{info.name} is not for {control}", f"it is for {', '.join(info.controls)}"
        )
    return UNION_MODES[info.family][control]
