"""What is done to a picture once it is rendered: settled, and done stage after stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine, DreamError
from dream.core.events import Events, Failed
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.core.stages import (
    MAX_PIXELS,
    Stage,
    compute_final_size,
    get_stages,
    needs_upscaler,
    watermark_capacity,
    with_stages,
)
from dream.line import format_fields, format_line
from dream.options.outpaint import OUTPAINT_STRENGTH, Embiggen

if TYPE_CHECKING:
    from dream.session.output import LineOutput

DEFAULT_STRENGTH = 0.75
"""How far a picture is left where nobody says."""

EMBIGGEN_STRENGTH = 0.4
"""How far tiles leave what was enlarged where nobody says; at 0.75 each becomes its own picture."""

Finish = Callable[[Picture, Stage], Events[Picture]]
"""Does one stage. Raises what the engine raises."""

Keep = Callable[[Picture], Events[bool]]
"""Puts a picture on disk, and says where that fails; whether it is there. Nothing interrupts it."""


def resolve_stages(request: Request, card: ModelInfo) -> dict[str, Any]:
    """The settled fields of a recipe that say what is done afterwards."""
    embiggen = request.embiggen or (Embiggen(1) if request.embiggen_tiles else None)
    tiles = request.embiggen_strength or request.strength or EMBIGGEN_STRENGTH
    upscaler = request.upscaler or card.upscaler
    return {
        "outcrop": request.outcrop,
        "out_direction": request.out_direction,
        "embiggen": embiggen,
        "embiggen_tiles": request.embiggen_tiles,
        "embiggen_strength": tiles if embiggen else None,
        "upscale": request.upscale,
        "upscaler": upscaler if needs_upscaler(embiggen, request.upscale) else None,
        "upscale_tile": request.upscale_tile,
        "watermark": request.watermark,
    }


def resolve_strength(request: Request) -> float | None:
    """How far a picture, or what goes on beyond its frame, is left; None where neither is asked
    for. A line that asks for both has one -f."""
    if request.init_img is not None:
        return request.strength or DEFAULT_STRENGTH
    if request.outcrop is not None or request.out_direction is not None:
        return request.strength or OUTPAINT_STRENGTH
    return None


def uses_strength(request: Request) -> bool:
    """Whether -f changes what is done afterwards, or to the picture that it begins from."""
    tiles = request.embiggen or request.embiggen_tiles
    return resolve_strength(request) is not None or tiles is not None


def check_limits(recipe: Recipe, size: tuple[int, int]) -> None:
    """Hold what is done to a picture of this size against what it allows. Raises BadLine."""
    width, height = compute_final_size(recipe, size)
    if (width, height) != size and width * height > MAX_PIXELS:
        raise BadLine(
            f"{size[0]}x{size[1]} would become {width}x{height}, {width * height // 10**6} million"
            " pixels",
            hint=f"{MAX_PIXELS // 10**6} million at most, or nothing could open it again",
        )
    room = watermark_capacity((width, height))
    if recipe.watermark is not None and len(recipe.watermark.encode()) > room:
        raise BadLine(
            f"{len(recipe.watermark.encode())} bytes of --watermark do not fit into"
            f" {width}x{height} pixels",
            hint=f"{room} bytes do" if room else "256x256 hold 19",
        )


def apply_stages(
    raw: Picture, album: LineOutput, finish: Finish, keep: Keep
) -> Events[Picture | None]:
    """The picture as its recipe wants it. Where a stage fails or is interrupted, the picture from
    before it takes its place, for that took long and is done; None when that is kept already."""
    made, done = raw, list[Stage]()
    is_kept = raw.recipe.fix is not None
    if get_stages(raw.recipe) and album.save_original and not is_kept:
        is_kept = yield from keep(replace(raw, recipe=with_stages(raw.recipe, ())))
    for stage in get_stages(raw.recipe):
        before = replace(made, recipe=with_stages(made.recipe, done))
        try:
            made = yield from finish(made, stage)
        except DreamError as error:
            yield Failed(error=error, line=format_line(raw.recipe.to_request()))
            return None if is_kept else before
        except KeyboardInterrupt:
            if not is_kept:
                yield from keep(before)
            raise
        done.append(stage)
        made, is_kept = _recorded(made, stage), False
    return made


def _recorded(made: Picture, stage: Stage) -> Picture:
    """The picture with one more step in its record."""
    said = format_fields(made.recipe.to_request(), stage.recipe_fields)
    size = f"{made.image.width}x{made.image.height}"
    step = {"stage": stage.name, "line": said, "size": size, "sha256": made.sha256}
    return replace(made, postprocess_log=(*made.postprocess_log, step))
