"""Checks before a logged line is rendered again: its defaults, its model, and whether the weights
and input files are the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.control_files import get_control
from dream.catalogue.encoder_files import find_text_encoder
from dream.catalogue.face_models import find_face_model
from dream.catalogue.image_prompt_files import find_image_encoder, get_image_prompt_model
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.taesd import require_decoder_file
from dream.catalogue.weight_files import hash_network
from dream.core.bounded_reading import hash_regular
from dream.core.errors import ModelError
from dream.core.events import Events, Note
from dream.core.model_options import get_model_options
from dream.core.recipe import Recipe
from dream.core.request import FLAGS, IMAGE_FILE_FIELDS, NO_VAE, Request, get_image_files
from dream.engine.interface import Engine, Progress
from dream.inputs import hash_file
from dream.line import parse_facts, parse_log_line
from dream.options.schedule_table import FORMER
from dream.options.syntax_table import OFF
from dream.prompt import Lookup
from dream.session.fix import get_image_defaults
from dream.session.foreign_models import NO_LOOKUP, ModelLookup
from dream.session.input_images import FindPicture
from dream.session.prompt_text import get_logged_syntax, settle_prompt
from dream.session.templates import find_nothing

EXCHANGED_UPSCALERS = ("tiny-x4",)
"""Their weights were exchanged while log lines had no hash of the upscaler yet."""
_PER_LINE = ("fast", "iterations", "grid", "sheet", "save_original")


def get_line_defaults(
    line: str, base: Request, find: FindPicture, lookup: ModelLookup = NO_LOOKUP
) -> Request:
    """The values of a line that it leaves open: those of `base`, the session's defaults. A logged
    line sets all values of its image itself; for a `!fix` line they come from the image's
    record."""
    logged = parse_log_line(line)
    if logged.path is None:
        return get_image_defaults(line, base, find, lookup)
    open_ = {name: flag.default for name, flag in FLAGS.items() if _logged_line_says(name)}
    open_["cfg_rescale"] = 0.0
    open_["syntax"] = get_logged_syntax(logged.comment)
    open_["wildcards"] = OFF  # a log line has the words that were chosen
    if "sha256" in parse_facts(logged.comment):
        # Written by dream; without a schedule, it is from before --schedule existed.
        open_["schedule"] = FORMER
        open_["embedding"] = ()  # a log line names those that it used
    if model := _model_id(line):
        open_["model"] = model
    return replace(base, **(open_ | {"vae": NO_VAE}))


def with_a_model(
    line: str,
    request: Request,
    base: Request,
    find: Callable[[str | None], ModelInfo],
    wildcards: Lookup = find_nothing,
) -> tuple[Request, tuple[str, ...]]:
    """The request of a line of InvokeAI 2.3, whose log names the model in the comment: with that
    model if it exists here, otherwise with the session's and a note. Of any line, the prompt is
    checked. Raises BadLine for one that means nothing in its syntax."""
    request = settle_prompt(line, request, wildcards)
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
    """The model that the comment of a logged line names, in InvokeAI's format; "" if none."""
    logged = parse_log_line(line)
    return parse_facts(logged.comment).get("model_id", "") if logged.path is not None else ""


def _logged_line_says(name: str) -> bool:
    """Whether a log line always determines this field, by its value or by its absence. The
    `always_logged` fields come from the defaults: dream's lines always have them, and older lines
    mean the session's."""
    return name in _PER_LINE or (FLAGS[name].affects_image and not FLAGS[name].always_logged)


def check_weights(engine: Engine, line: str, recipe: Recipe) -> Events[None]:
    """Before a logged line is rendered again: load its model, and report if its weights or input
    files have changed. Does nothing for other lines. Raises what loading raises, and InputError for
    a missing file."""
    yield from check_input_files(line, recipe)
    logged = parse_log_line(line)
    weights = parse_facts(logged.comment).get("weights")
    if logged.path is None or not weights:
        return
    options = get_model_options(recipe)
    with closing(engine.load(recipe.model, weights, options, recipe)) as events:
        for event in events:
            if not isinstance(event, Progress):
                yield event


def check_adapters(registry: ModelRegistry, line: str, recipe: Recipe) -> Events[None]:
    """Say which adapters of a logged line have changed since, and whether its text encoder, face
    restorer or upscaler has. Raises ModelError for one that is gone or cannot be read."""
    logged = parse_log_line(line)
    recorded = parse_facts(logged.comment) if logged.path is not None else {}
    adapters = AdapterRegistry.of(registry)
    names = {
        LORA: [lora.name for lora in recipe.lora or ()],
        EMBEDDING: list(recipe.embedding or ()),
        HYPERNET: [net.name for net in recipe.hypernet or ()],
    }
    for kind, used in names.items():
        for name, was in zip(used, recorded.get(kind.key, "").split(","), strict=False):
            path = adapters.get(kind, name)
            if was and not (now := _hash(path)).startswith(was):
                is_now = f"the sha256 of {path} is {now[: len(was)]}, not {was}"
                text = f"the {kind.called} {name} has changed: {is_now}; the image will differ"
                yield Note(text=text)
    if recipe.text_encoder and (was := recorded.get("text_encoder_weights", "")):
        path = find_text_encoder(recipe.text_encoder, registry.models_dirs)
        yield from _check_file(f"the text encoder {recipe.text_encoder}", path, was)
    if recipe.decoder:
        path = require_decoder_file(registry.get_model(recipe.model), registry.models_dirs)
        yield from _check_file("the small decoder", path, recorded.get("decoder_weights", ""))
    yield from _check_control_models(registry, recipe, recorded.get("control_model", ""))
    yield from _check_image_prompt_model(registry, recipe, recorded)
    if recipe.facetool:
        face = find_face_model(recipe.facetool, registry.models_dirs, offline=registry.offline)
        yield from _check_file(face.name, face.path, recorded.get("face_weights", ""))
    if recipe.upscaler and logged.path is not None:
        upscaler = registry.get_upscaler(recipe.upscaler)
        was = recorded.get("upscaler_weights", "")
        yield from _check_file(upscaler.name, upscaler.path, was)
        if not was and upscaler.name in EXCHANGED_UPSCALERS:
            text = f"the log has no hash of {upscaler.name}, which has been trained again since"
            yield Note(text=f"{text}; the image may differ")


def _check_control_models(registry: ModelRegistry, recipe: Recipe, recorded: str) -> Events[None]:
    """Say which control models of a logged line have changed. Raises ModelError for one that is
    gone."""
    names = recipe.control_model or ()
    digests = dict(zip(names, recorded.split(","), strict=False))  # each once
    for name, was in digests.items():
        path = get_control(name, registry.models_dirs).path
        if was and not (now := _hash_control_model(path)).startswith(was):
            is_now = f"the sha256 of {path} is {now[: len(was)]}, not {was}"
            text = f"the control model {name} has changed: {is_now}; the image will differ"
            yield Note(text=text)


def _check_image_prompt_model(
    registry: ModelRegistry, recipe: Recipe, recorded: Mapping[str, str]
) -> Events[None]:
    """Say if the IP-Adapter of a logged line, or its image encoder, has changed. Raises ModelError
    for an adapter that is gone."""
    if not recipe.image_prompt_model:
        return
    model = get_image_prompt_model(recipe.image_prompt_model, registry.models_dirs)
    yield from _check_file(model.name, model.path, recorded.get("image_prompt_model", ""))
    dirs = registry.models_dirs
    encoder = find_image_encoder(model.encoder_width, model.reads_layers, dirs)
    if encoder is not None:
        yield from _check_file(encoder.stem, encoder, recorded.get("image_encoder", ""))


def _hash_control_model(path: Path) -> str:
    try:
        return hash_network(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _check_file(name: str, path: Path, was: str) -> Events[None]:
    """Say if a network's file has changed. One that is not here yet will be the recorded one."""
    if was and path.is_file() and not (now := _hash(path)).startswith(was):
        is_now = f"the sha256 of {path} is {now[: len(was)]}, not {was}"
        yield Note(text=f"{name} has changed: {is_now}; the image will differ")


def _hash(path: Path) -> str:
    try:
        return hash_regular(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def check_input_files(line: str, recipe: Recipe) -> Events[None]:
    """Report which input files of a logged line have changed. Raises InputError."""
    logged = parse_log_line(line)
    recorded = parse_facts(logged.comment)
    for name in IMAGE_FILE_FIELDS:
        if logged.path is None or name not in recorded:
            continue
        paths = get_image_files(getattr(recipe, name))
        for path, was in zip(paths, recorded[name].split(","), strict=False):
            if not (now := hash_file(Path(path))).startswith(was):
                is_now = f"its sha256 is {now[: len(was)]}, not {was}"
                yield Note(text=f"{path} has changed: {is_now}; the image will differ")
