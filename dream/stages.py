"""What is done to a picture after it was rendered, stage by stage, always in this order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

from dream.flags import Upscale
from dream.frames import LONGEST_MARK, Embiggen, Outcrop
from dream.recipe import Recipe

Size = tuple[int, int]
"""Width and height, in pixels."""


class Stage(NamedTuple):
    """One stage. A recipe asks for it where its first field is set."""

    name: str
    past: str
    """What a file's name says when it was done."""
    fields: tuple[str, ...]
    """What a recipe says of it alone; all are None where it is not asked for."""
    paints: bool = False
    """It needs the recipe's model."""


OUTCROP = Stage("outcrop", "outcropped", ("outcrop",), paints=True)
OUTPAINT = Stage("outpaint", "outpainted", ("out_direction",), paints=True)
EMBIGGEN = Stage(
    "embiggen", "embiggened", ("embiggen", "embiggen_tiles", "embiggen_strength"), paints=True
)
UPSCALE = Stage("upscale", "upscaled", ("upscale",))
WATERMARK = Stage("watermark", "watermarked", ("watermark",))

STAGES = (OUTCROP, OUTPAINT, EMBIGGEN, UPSCALE, WATERMARK)


def stages_of(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that a recipe asks for, in their order."""
    return tuple(stage for stage in STAGES if getattr(recipe, stage.fields[0]) is not None)


def only(recipe: Recipe, stages: Collection[Stage]) -> Recipe:
    """The recipe of the picture when these of its stages were done, and no other."""
    off: dict[str, Any] = {
        name: None for stage in STAGES if stage not in stages for name in stage.fields
    }
    left = replace(recipe, **off)
    if not (left.outcrop or left.out_direction or left.init_img):
        left = replace(left, strength=None)
    return left if enlarges(left.embiggen, left.upscale) else replace(left, upscaler=None)


def enlarges(embiggen: Embiggen | None, upscale: Upscale | None) -> bool:
    """Whether an upscaler has something to do."""
    return upscale is not None or (embiggen is not None and embiggen.scale > 1)


LARGEST = 2**28 // 3
"""Of a picture that is taken further: what Pillow opens without doubts, so that it can be again."""


def size_after(recipe: Recipe, size: Size) -> Size:
    """How large a picture of this size will be after all stages."""
    top, right, bottom, left = recipe.outcrop or Outcrop()
    size = (size[0] + left + right, size[1] + top + bottom)
    if recipe.embiggen is not None:
        size = enlarged(size, recipe.embiggen.scale)
    return size if recipe.upscale is None else enlarged(size, recipe.upscale.factor)


def enlarged(size: Size, factor: float) -> Size:
    """Both sides times the factor, to the nearest pixel."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


# ── watermarks ─────────────────────────────────────────────────────────────────────────────────

CHECK = 2
"""Bytes of CRC that follow the text."""
_BLOCK = 8
"""Pixels a side that carry one bit."""
_REPEATED = 6
"""How often all of it must be there, for enough to be left of it."""


def room_for_mark(size: Size) -> int:
    """Bytes of text that a watermark in a picture of this size can hold: 19 in 256x256."""
    bits = (size[0] // _BLOCK) * (size[1] // _BLOCK)
    return max(0, min(LONGEST_MARK, bits // (8 * _REPEATED) - CHECK))
