"""Postprocessing: resolves its parameters and runs its stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dream.catalogue.face_models import DEFAULT_FACETOOL, FIDELITY, KNOWN_FACE_MODELS
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
from dream.options.engine_table import DEFAULT_PRECISION
from dream.options.outpaint import OUTPAINT_STRENGTH, Embiggen

if TYPE_CHECKING:
    from dream.session.output import LineOutput

DEFAULT_STRENGTH = 0.75
"""The default --strength."""

EMBIGGEN_STRENGTH = 0.4
"""The default strength of tiles; at 0.75 each tile becomes an image of its own."""

Finish = Callable[[Picture, Stage], Events[Picture]]
"""Runs one stage. Raises what the engine raises."""

Keep = Callable[[Picture], Events[bool]]
"""Saves an image, or yields an error; whether it is on disk. Is not interrupted."""


def resolve_stages(request: Request, info: ModelInfo) -> dict[str, Any]:
    """The recipe's fields for postprocessing."""
    embiggen = request.embiggen or (Embiggen(1) if request.embiggen_tiles else None)
    tiles = request.embiggen_strength or request.strength or EMBIGGEN_STRENGTH
    upscaler = request.upscaler or info.upscaler
    upscales = needs_upscaler(embiggen, request.upscale)
    precision = request.upscale_precision
    return {
        "outcrop": request.outcrop,
        "out_direction": request.out_direction,
        "embiggen": embiggen,
        "embiggen_tiles": request.embiggen_tiles,
        "embiggen_strength": tiles if embiggen else None,
        **_resolve_faces(request),
        "upscale": request.upscale,
        "upscaler": upscaler if upscales else None,
        "upscale_tile": request.upscale_tile,
        "upscale_precision": precision if upscales and precision != DEFAULT_PRECISION else None,
        "watermark": request.watermark,
    }


def _resolve_faces(request: Request) -> dict[str, Any]:
    """The recipe's fields for faces. InvokeAI's lines have `-G 0`, which restores none."""
    if not request.facetool_strength:
        return {"facetool_strength": None, "facetool": None, "codeformer_fidelity": None}
    name = request.facetool or DEFAULT_FACETOOL
    fidelity = request.codeformer_fidelity
    known = {model.name: model for model in KNOWN_FACE_MODELS}
    if found := known.get(name.lower()):
        name = found.name
        fidelity = (FIDELITY if fidelity is None else fidelity) if found.has_fidelity else None
    return {
        "facetool_strength": request.facetool_strength,
        "facetool": name,
        "codeformer_fidelity": fidelity,
    }


def resolve_strength(request: Request) -> float | None:
    """The strength for the input image or for outpainting; None without either. With both, -f is
    for both."""
    if request.init_img is not None:
        return request.strength or DEFAULT_STRENGTH
    if request.outcrop is not None or request.out_direction is not None:
        return request.strength or OUTPAINT_STRENGTH
    return None


def uses_strength(request: Request) -> bool:
    """Whether -f has an effect, on the input image or in postprocessing."""
    tiles = request.embiggen or request.embiggen_tiles
    return resolve_strength(request) is not None or tiles is not None


def check_limits(recipe: Recipe, size: tuple[int, int]) -> None:
    """Raises BadLine if postprocessing an image of this size exceeds a limit."""
    width, height = compute_final_size(recipe, size)
    if (width, height) != size and width * height > MAX_PIXELS:
        raise BadLine(
            f"{size[0]}x{size[1]} would become {width}x{height}, {width * height // 10**6} million"
            " pixels",
            hint=f"{MAX_PIXELS // 10**6} million is the maximum",
        )
    room = watermark_capacity((width, height))
    if recipe.watermark is not None and len(recipe.watermark.encode()) > room:
        raise BadLine(
            f"the --watermark has {len(recipe.watermark.encode())} bytes, too many for an image of"
            f" {width}x{height} pixels",
            hint=f"use at most {room} bytes" if room else "256x256 pixels hold 19 bytes",
        )


def apply_stages(
    raw: Picture, output: LineOutput, finish: Finish, keep: Keep
) -> Events[Picture | None]:
    """The image after all stages of its recipe. If a stage fails or is interrupted, the image
    before it is returned or saved instead, so that no work is lost; None if that is saved
    already."""
    image, done = raw, list[Stage]()
    is_saved = raw.recipe.fix is not None
    if get_stages(raw.recipe) and output.save_original and not is_saved:
        is_saved = yield from keep(replace(raw, recipe=with_stages(raw.recipe, ())))
    for stage in get_stages(raw.recipe):
        before = replace(image, recipe=with_stages(image.recipe, done))
        try:
            image = yield from finish(image, stage)
        except DreamError as error:
            yield Failed(error=error, line=format_line(raw.recipe.to_request()))
            return None if is_saved else before
        except KeyboardInterrupt:
            if not is_saved:
                yield from keep(before)
            raise
        done.append(stage)
        image, is_saved = _recorded(image, stage), False
    return image


def _recorded(picture: Picture, stage: Stage) -> Picture:
    """The image with one more step in its record."""
    line = format_fields(picture.recipe.to_request(), stage.recipe_fields)
    size = f"{picture.image.width}x{picture.image.height}"
    step = {"stage": stage.name, "line": line, "size": size, "sha256": picture.sha256}
    return replace(picture, postprocess_log=(*picture.postprocess_log, step))
