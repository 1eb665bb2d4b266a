"""How wide the text is that a model's UNet reads. What is added to its layers, a ControlNet or an
IP-Adapter, was trained with text of one width: those of Stable Diffusion 1, 2 and XL, or that of a
model of a size of its own."""

from __future__ import annotations

from pathlib import Path

from dream.catalogue.detect import read_header
from dream.catalogue.detect.control_family import find_text_width
from dream.catalogue.model_info import ModelInfo
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError
from dream.options.family_table import get_family


def read_text_width(info: ModelInfo) -> int:
    """The width of the vectors that the UNet's cross-attention reads; 0 for other denoisers, and
    where the files do not say."""
    if not get_family(info.family).stable:
        return 0
    if info.path.is_dir():
        return read_configured_width(info.path / "unet" / "config.json")
    try:
        return find_text_width(read_header(info.path).tensors)
    except ModelError:  # said where it is loaded
        return 0


def read_configured_width(config: Path) -> int:
    """The same of a configuration in diffusers' format, which has one also where no layer attends
    to a text."""
    try:
        table = read_json(config)
        width, blocks = table.get("cross_attention_dim"), table.get("down_block_types")
    except (OSError, ValueError, AttributeError):
        return 0
    attends = blocks is None or "CrossAttn" in str(blocks)
    return width if isinstance(width, int) and attends else 0


def differ(width: int, other: int) -> bool:
    """Whether both are known, and are not the same."""
    return 0 not in (width, other) and width != other
