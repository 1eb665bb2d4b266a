"""!fix: a picture's file taken further, with the words and numbers that it was made with."""

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
from dream.gallery import DreamRecord, read_record
from dream.inputs import open_picture
from dream.line import format_line, parse_log_line
from dream.line.words import split_line
from dream.session.image_prompts import get_request, read_request_from

INHERITED_FIELDS = (
    "prompt",
    "negative",
    "steps",
    "seed",
    "cfg_scale",
    "sampler",
    "schedule",
    "model",
    "vae",
)
"""What a picture's own line says, unless the `!fix` line says something else."""

_HEARD = (*INHERITED_FIELDS, "width", "height", "strength", "fix", "upscaler", "upscale_tile")


_ASKING = tuple(stage.recipe_fields[0] for stage in STAGES)


def get_image_defaults(line: str, base: Request, find: Callable[[str], Path]) -> Request:
    """What a line leaves open: as the base has it, but of a `!fix` line as the picture was made.
    Where there is none (yet: such a line may be waiting for it), that is for `settle` to say."""
    parts = split_line(line, parse_log_line(line).start)
    if not parts.fixes or not parts.prompt:
        return base
    with suppress(DreamError):
        its, _ = read_request_from(find(parts.prompt.text))
        said = {
            name: getattr(its, name) for name in INHERITED_FIELDS if getattr(its, name) is not None
        }
        return replace(base, **{"vae": NO_VAE, **said})
    return base


def convert_to_fix(request: Request) -> tuple[Request, tuple[str, ...]]:
    """A request that takes a file further, without what is about painting a whole picture; and
    what should be said about that. Raises BadLine where there is nothing to do."""
    others = [
        FLAGS[name].names[0]
        for name in IMAGE_FILE_FIELDS
        if name != "fix" and getattr(request, name)
    ]
    if others:
        raise BadLine(f"{others[0]} has no place here: !fix begins from its own picture")
    if not any(getattr(request, name) for name in ("embiggen_tiles", *_ASKING)):
        switches = " ".join(FLAGS[name].names[0] for name in _ASKING)
        raise BadLine("!fix is not told what to do", hint=f"one or more of {switches}")
    own = {name for stage in STAGES for name in stage.recipe_fields}
    off = {
        name: flag.default
        for name, flag in FLAGS.items()
        if flag.affects_image and name not in own and name not in _HEARD
    }
    said = [FLAGS[name].names[0] for name in off if getattr(request, name) != off[name]]
    told = (f"!fix paints no whole picture: {' and '.join(said)} left out",) if said else ()
    bare: Request = replace(request, **off)
    if bare.prompt or not _paints(bare):
        return bare, told
    bare, more = use_image_prompt(bare, Path(str(bare.fix)))
    return bare, (*told, *more)


def find_model_info(request: Request, find: Callable[[str | None], ModelInfo]) -> ModelInfo:
    """The card of the model that a request means. One that made a picture, but is not here and has
    nothing to do in it, is known by its name alone. Raises ModelError."""
    try:
        return find(request.model)
    except ModelError:
        if request.fix is None or request.model is None or _paints(request):
            raise
        return replace(find(None), name=request.model)


def _paints(request: Request) -> bool:
    fields = [name for stage in STAGES if stage.needs_model for name in stage.recipe_fields]
    return any(getattr(request, name) for name in fields)


def use_image_prompt(request: Request, path: Path) -> tuple[Request, tuple[str, ...]]:
    """The request with the words that a picture was made with; and what should be said."""
    try:
        its, unread = read_request_from(path)
    except DreamError as error:
        # A camera's picture has no record; of one whose record cannot be used it is said why.
        why = f"{error}, " if "limit" in error.hint else f"{path.name} does not say what it shows: "
        return request, (f"{why}painting without words",)
    if not its.prompt:
        return request, (f"{path.name} does not say what it shows: painting without words", *unread)
    own = replace(request, prompt=its.prompt, negative=request.negative or its.negative)
    return own, (f"in the words of {path.name}: {its.prompt}", *unread)


def open_source_image(recipe: Recipe) -> Events[Picture]:
    """The picture that a recipe takes further, as it is in its file, with what it tells of itself.
    Raises InputError."""
    path = Path(str(recipe.fix))
    found = open_picture(path)
    yield from (Note(text=note) for note in found.notes)
    if found.alpha is not None:
        yield Note(text=f"{path.name} is transparent in parts; that is left out")
    record = _record(path)
    facts: dict[str, Any] = {"fix": found.sha256}
    # Only a record of ours knows of steps, and only what could be read of a line is handed on.
    steps = record.steps if record.sha256 else ()
    origin = ""
    try:
        its, unread = get_request(record, path)
        yield from (Note(text=note) for note in unread)
        if record.origin:
            its, _ = get_request(replace(record, line=record.origin), path)
        origin = format_line(its) if its != Request() else ""
    except DreamError as error:
        if record.line or record.request:  # else there are no settings to lose
            yield Note(text=f"{error}: the settings it was made with are not used")
    return Picture(found.image, recipe, facts, steps, origin)


def _record(path: Path) -> DreamRecord:
    with suppress(DreamError):
        return read_record(path)
    return DreamRecord("")
