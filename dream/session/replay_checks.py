"""What a logged line says by itself: all about its picture; and which weights made it, and which
files it began from, for others make another one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.core.events import Events, Loading, Note
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, IMAGE_FILE_FIELDS, NO_VAE, Request
from dream.engine.interface import Engine
from dream.inputs import hash_file
from dream.line import parse_facts, parse_log_line
from dream.options.schedule_table import FORMER
from dream.session.fix import get_image_defaults
from dream.session.input_images import FindPicture

_PER_LINE = ("iterations", "grid", "sheet", "save_original")


def get_line_defaults(line: str, base: Request, find: FindPicture) -> Request:
    """What a line leaves open: as `base`, a session's defaults, has it. But a logged line says all
    about its picture by itself, and of a `!fix` line what is open is as the picture was made."""
    logged = parse_log_line(line)
    if logged.path is None:
        return get_image_defaults(line, base, find)
    open_ = {name: flag.default for name, flag in FLAGS.items() if _logged_line_says(name)}
    open_["cfg_rescale"] = 0.0
    if "sha256" in parse_facts(logged.comment):
        # Ours, then; and those that do not say a schedule are from before there were any.
        open_["schedule"] = FORMER
    if model := _model_id(line):
        open_["model"] = model
    return replace(base, **(open_ | {"vae": NO_VAE}))


def with_a_model(
    line: str, request: Request, base: Request, find: Callable[[str | None], ModelInfo]
) -> tuple[Request, tuple[str, ...]]:
    """The request of a line of InvokeAI 2.3, whose log names the model in the comment, with a
    model that is here: that one, or else the session's, and a note that says so."""
    model = _model_id(line)
    if not model or request.model != model:
        return request, ()
    with suppress(ModelError):
        find(model)
        return request, ()
    used = "the default model"
    with suppress(ModelError):
        used = find(base.model).name
    note = f'the log names the model "{model}", which was not found; using {used}'
    return replace(request, model=base.model), (note,)


def _model_id(line: str) -> str:
    """The model that the comment of a logged line names, as InvokeAI wrote it; or ""."""
    logged = parse_log_line(line)
    return parse_facts(logged.comment).get("model_id", "") if logged.path is not None else ""


def _logged_line_says(name: str) -> bool:
    """A field that a log line always decides, by holding it or by leaving it out. The `always`
    fields are left to the defaults: our lines hold them all, and older ones mean the session's."""
    return name in _PER_LINE or (FLAGS[name].affects_image and not FLAGS[name].always_logged)


def check_weights(engine: Engine, line: str, recipe: Recipe) -> Events[None]:
    """Before a logged line is made again: load its model, and say so if its weights, or a file
    that it begins from, are others now. Nothing for other lines. Raises what loading raises, and
    InputError for a file that is gone."""
    yield from check_input_files(line, recipe)
    logged = parse_log_line(line)
    weights = parse_facts(logged.comment).get("weights")
    if logged.path is None or not weights:
        return
    with closing(engine.load(recipe.model, weights)) as events:
        for event in events:
            if isinstance(event, Note | Loading):
                yield event


def check_input_files(line: str, recipe: Recipe) -> Events[None]:
    """Say which files that a logged line begins from have changed since. Raises InputError."""
    logged = parse_log_line(line)
    recorded = parse_facts(logged.comment)
    for name in IMAGE_FILE_FIELDS:
        path, was = getattr(recipe, name), recorded.get(name)
        if logged.path is None or path is None or was is None:
            continue
        if not (now := hash_file(Path(path))).startswith(was):
            is_now = f"its sha256 is {now[: len(was)]}, not {was}"
            yield Note(text=f"{path} has changed: {is_now}; the image will differ")
