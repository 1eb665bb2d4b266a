"""The widths of a model's UNet that must be those of what is added to its layers: a ControlNet, a
T2I-Adapter or an IP-Adapter. They differ between Stable Diffusion 1, 2 and XL, and in models of a
size of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dream.catalogue.detect import read_header
from dream.catalogue.detect.unet_header import (
    UNKNOWN_WIDTHS,
    UNetWidths,
    find_unet_widths,
    list_levels,
)
from dream.catalogue.model_info import ModelInfo
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError
from dream.options.family_table import get_family


def read_unet_widths(info: ModelInfo) -> UNetWidths:
    """The widths of a model's UNet; unknown for other denoisers, and where the files do not say."""
    if not get_family(info.family).stable:
        return UNKNOWN_WIDTHS
    if info.path.is_dir():
        return read_configured_widths(info.path / "unet" / "config.json")
    try:
        return find_unet_widths(read_header(info.path).tensors)
    except ModelError:  # said where it is loaded
        return UNKNOWN_WIDTHS


def read_configured_widths(config: Path) -> UNetWidths:
    """The same of a configuration in diffusers' format. It has a text width also where no layer
    attends to a text."""
    try:
        table = read_json(config)
    except (OSError, ValueError):
        return UNKNOWN_WIDTHS
    return get_configured_widths(table) if isinstance(table, dict) else UNKNOWN_WIDTHS


def get_configured_widths(table: Mapping[str, Any]) -> UNetWidths:
    """The widths in a configuration of a UNet, a ControlNet or a T2I-Adapter of diffusers."""
    text, blocks = table.get("cross_attention_dim"), table.get("down_block_types")
    attends = blocks is None or "CrossAttn" in str(blocks)
    channels = table.get("block_out_channels") or table.get("channels")
    if not isinstance(channels, list) or not all(isinstance(one, int) for one in channels):
        channels = []
    return UNetWidths(
        text if isinstance(text, int) and attends else 0,
        list_levels(channels),
    )
