"""`!fix`: processes an image file, with the settings it was generated with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine, DreamError, ModelError
from dream.core.events import Events, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, IMAGE_FILE_FIELDS, NO_VAE, Request
from dream.core.stages import STAGES
from dream.gallery.metadata import ImageMetadata, read_metadata
from dream.inputs import open_picture
from dream.line import format_line, parse_log_line
from dream.line.words import split_line
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.image_prompts import get_request, get_request_of, read_request_from

INHERITED_FIELDS = (
    "prompt",
    "negative",
    "syntax",
    "wildcards",
    "weighting",
    "clip_skip",
    "steps",
    "seed",
    "cfg_scale",
    "cfg_rescale",
    "sampler",
    "schedule",
    "model",
    "vae",
    "text_encoder",
)
"""Fields taken from the image's own line, unless the `!fix` line sets them."""

_USED_FIELDS = (
    *(*INHERITED_FIELDS, "width", "height", "strength", "fix"),
    *("upscaler", "upscale_tile", "upscale_precision", "threads"),
)


_STAGE_FIELDS = tuple(stage.recipe_fields[0] for stage in STAGES)


def get_image_defaults(
    line: str, base: Request, find: Callable[[str], Path], lookup: ModelLookup = NO_LOOKUP
) -> Request:
    """The defaults of a line: the base; for a `!fix` line also the settings of the image. If the
    file does not exist (yet), `resolve` reports it."""
    parts = split_line(line, parse_log_line(line).start)
    if not parts.fixes or not parts.prompt:
        return base
    with suppress(DreamError):
        recorded, _ = read_request_from(find(parts.prompt.text), lookup)
        settings = {
            name: getattr(recorded, name)
            for name in INHERITED_FIELDS
            if getattr(recorded, name) is not None
        }
        return replace(base, **{"vae": NO_VAE, **settings})
    return base


def convert_to_fix(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request of a `!fix`, without the fields about generating a new image; and notes about
    ignored fields. Raises BadLine if there is nothing to do."""
    others = [
        FLAGS[name].names[0]
        for name in IMAGE_FILE_FIELDS
        if name != "fix" and getattr(request, name)
    ]
    if others:
        raise BadLine(f"{others[0]} is not supported with !fix, which has its own input image")
    if not any(getattr(request, name) for name in ("embiggen_tiles", *_STAGE_FIELDS)):
        switches = " ".join(FLAGS[name].names[0] for name in _STAGE_FIELDS)
        raise BadLine("!fix has nothing to do", hint=f"add one or more of {switches}")
    own = {name for stage in STAGES for name in stage.recipe_fields}
    off = {
        name: flag.default
        for name, flag in FLAGS.items()
        if flag.affects_image and name not in own and name not in _USED_FIELDS
    }
    # An empty list, as a log line may have, asks for nothing.
    ignored = " and ".join(
        flag.names[0]
        for name, flag in FLAGS.items()
        if name in off and getattr(request, name) not in (off[name], ())
    )
    notes = (f"!fix does not generate a new image: {ignored} ignored",) if ignored else ()
    bare: Request = replace(request, **off)
    if bare.prompt or not _needs_model(bare):
        return bare, notes
    bare, more = use_image_prompt(bare, Path(str(bare.fix)))
    return bare, (*notes, *more)


def find_model_info(request: Request, find: Callable[[str | None], ModelInfo]) -> ModelInfo:
    """The model of a request. If a `!fix` does not need the image's model and it is not here, the
    default model's info with the name of the image's. Raises ModelError."""
    try:
        return require_complete(find(request.model))
    except ModelError:
        if request.fix is None or request.model is None or _needs_model(request):
            raise
        return replace(find(None), name=request.model)


def require_complete(info: ModelInfo) -> ModelInfo:
    """The model, if nothing of it is missing. Raises ModelError with where to get what is."""
    if info.missing:
        lacks = [one.partition(": ") for one in info.missing]
        raise ModelError(
            f"{info.name} lacks {' and '.join(what for what, _, _ in lacks)}",
            "; ".join(hint for _, _, hint in lacks),
        )
    return info


def _needs_model(request: Request) -> bool:
    fields = [name for stage in STAGES if stage.needs_model for name in stage.recipe_fields]
    return any(getattr(request, name) for name in fields)


def use_image_prompt(request: Request, path: Path) -> tuple[Request, tuple[str, ...]]:
    """The request with the prompt of an image; and notes about it."""
    try:
        recorded, unread = read_request_from(path)
    except DreamError as error:
        # A photo has no record; for a record that cannot be used, the note says why.
        why = f"{error}" if "limit" in error.hint else f"{path.name} contains no prompt"
        return request, (f"{why}; generating without a prompt",)
    if not recorded.prompt:
        return request, (f"{path.name} contains no prompt; generating without a prompt", *unread)
    own = replace(
        request,
        prompt=recorded.prompt,
        negative=request.negative or recorded.negative,
        syntax=recorded.syntax or request.syntax,
    )
    return own, (f"using the prompt of {path.name}: {recorded.prompt}", *unread)


def open_source_image(recipe: Recipe) -> Events[Picture]:
    """The image file that a recipe processes, with its provenance. Raises InputError."""
    path = Path(str(recipe.fix))
    opened = open_picture(path)
    yield from (Note(text=note) for note in opened.notes)
    if opened.alpha is not None:
        yield Note(text=f"{path.name} is partly transparent; the transparency is ignored")
    metadata = _metadata(path)
    facts: dict[str, Any] = {"fix": opened.sha256}
    if metadata is None or not metadata.has_record:
        return Picture(opened.image, recipe, facts)
    # Only our own records have steps, and only the readable parts of a line are passed on.
    record = metadata.record
    steps = record.steps if record.sha256 else ()
    origin = ""
    try:
        recorded, unread = get_request_of(metadata, path)
        yield from (Note(text=note) for note in unread if metadata.foreign is None)
        if record.origin:
            recorded, _ = get_request(replace(record, line=record.origin), path)
        origin = format_line(recorded) if recorded != Request() else ""
    except DreamError as error:
        yield Note(text=f"{error}; its settings are not used")
    return Picture(opened.image, recipe, facts, steps, origin)


def _metadata(path: Path) -> ImageMetadata | None:
    with suppress(DreamError):
        return read_metadata(path)
    return None
