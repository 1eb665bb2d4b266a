"""Postprocessing: the stages after rendering, always in this order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

from dream.core.recipe import Recipe
from dream.options.option_type import Upscale
from dream.options.outpaint import MAX_WATERMARK_BYTES, Embiggen, Outcrop

Size = tuple[int, int]
"""Width and height, in pixels."""


class Stage(NamedTuple):
    """One stage. It runs if the first of its recipe fields is set."""

    name: str
    file_suffix: str
    """What is added to the file name."""
    recipe_fields: tuple[str, ...]
    """The recipe fields for this stage alone; all are None if it does not run."""
    needs_model: bool = False
    """Whether it needs the recipe's model."""


OUTCROP = Stage("outcrop", "outcropped", ("outcrop",), needs_model=True)
OUTPAINT = Stage("outpaint", "outpainted", ("out_direction",), needs_model=True)
EMBIGGEN = Stage(
    "embiggen", "embiggened", ("embiggen", "embiggen_tiles", "embiggen_strength"), needs_model=True
)
FACES = Stage("faces", "faces", ("facetool_strength", "facetool", "codeformer_fidelity"))
UPSCALE = Stage("upscale", "upscaled", ("upscale",))
WATERMARK = Stage("watermark", "watermarked", ("watermark",))

STAGES = (OUTCROP, OUTPAINT, EMBIGGEN, FACES, UPSCALE, WATERMARK)


def get_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that a recipe requires, in order."""
    return tuple(stage for stage in STAGES if getattr(recipe, stage.recipe_fields[0]) is not None)


def with_stages(recipe: Recipe, stages: Collection[Stage]) -> Recipe:
    """The recipe with only these of its stages."""
    off: dict[str, Any] = {
        name: None for stage in STAGES if stage not in stages for name in stage.recipe_fields
    }
    reduced = replace(recipe, **off)
    if not (reduced.outcrop or reduced.out_direction or reduced.init_img):
        reduced = replace(reduced, strength=None)
    return (
        reduced
        if needs_upscaler(reduced.embiggen, reduced.upscale)
        else replace(reduced, upscaler=None)
    )


def needs_upscaler(embiggen: Embiggen | None, upscale: Upscale | None) -> bool:
    """Whether an upscaler is needed."""
    return upscale is not None or (embiggen is not None and embiggen.scale > 1)


MAX_PIXELS = 2**28 // 3
"""Maximum pixels of a postprocessed image: the most that Pillow opens without a warning."""


def compute_final_size(recipe: Recipe, size: Size) -> Size:
    """The size of an image of this size after all stages."""
    top, right, bottom, left = recipe.outcrop or Outcrop()
    size = (size[0] + left + right, size[1] + top + bottom)
    if recipe.embiggen is not None:
        size = scale_size(size, recipe.embiggen.scale)
    return size if recipe.upscale is None else scale_size(size, recipe.upscale.factor)


def scale_size(size: Size, factor: float) -> Size:
    """Both sides times the factor, to the nearest pixel."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


# ── watermarks ─────────────────────────────────────────────────────────────────────────────────

CRC_BYTES = 2
"""Bytes of CRC that follow the text."""
_BLOCK = 8
"""Pixels per side of a block that carries one bit."""
_COPIES = 6
"""Minimum number of copies of all bits, so that it survives compression."""


def watermark_capacity(size: Size) -> int:
    """Bytes of text that a watermark in an image of this size can hold: 19 in 256x256."""
    bits = (size[0] // _BLOCK) * (size[1] // _BLOCK)
    return max(0, min(MAX_WATERMARK_BYTES, bits // (8 * _COPIES) - CRC_BYTES))
