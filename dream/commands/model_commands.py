"""Commands that list, load and convert models, and set the VAE."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace

from dream.catalogue import ModelRegistry
from dream.catalogue.control_files import list_controls
from dream.catalogue.control_info import ControlInfo
from dream.catalogue.face_models import (
    detect_face_architecture,
    find_face_detector,
    list_face_models,
)
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.upscalers import architecture_of
from dream.catalogue.vaes import check_vae
from dream.commands.command import Context, Line, TextOutput
from dream.commands.import_known import list_known
from dream.commands.model_text import (
    describe_details,
    describe_family,
    format_bytes,
    get_active_model,
    measure_bytes,
    measure_model,
    parse_name,
)
from dream.core.errors import BadLine, DreamError, ModelError
from dream.core.events import Events, Note, Rejected
from dream.core.model_options import get_model_options
from dream.core.request import NO_VAE
from dream.engine.interface import Progress
from dream.line.words import quote_value
from dream.session import Session

Row = tuple[str, str, str, str]
"""A row of the table: state, kind, size on disk and description."""

NO_VAE_WORD = NO_VAE
"""The word that removes a value."""


def list_models(context: Context, argument: str) -> Events[None]:
    """!models: list every model, with `*` before the active one, whether it is in memory, its
    family and its size on disk; every upscaler, face restorer and control model on disk; and
    problems in models.toml and files."""
    session = context.session
    if argument.strip():
        yield _list_known(argument.strip())
        return
    loaded, active = _list_loaded_names(session), get_active_model(session)
    infos = session.registry.list_models()
    rows = [_row(info, active, info.name in loaded) for info in infos]
    lines = _format_table(
        [f"{'*' if info.name == active else ' '} {info.name}" for info in infos], rows
    )
    upscalers, wrong = _list_upscalers(session.registry)
    if upscalers:
        lines = [*lines, "upscalers:", *upscalers]
    faces, wrong_faces = _list_face_models(session.registry)
    if faces:
        lines = [*lines, "faces:", *faces]
    controls, wrong_controls = _list_control_models(session.registry)
    if controls:
        lines = [*lines, "control models:", *controls]
    problems = (*session.registry.check_models(), *wrong, *wrong_faces, *wrong_controls)
    yield TextOutput(lines=(*lines, *(f"  ! {problem}" for problem in problems)))


def _list_known(argument: str) -> TextOutput:
    if argument != "--known":
        raise BadLine(f"!models takes --known, not {argument}")
    return TextOutput(lines=list_known())


def _format_table(heads: list[str], rows: list[Row]) -> list[Line]:
    """State, kind, size and description, in columns."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (head, f"{state:{wide[0]}}  {kind:{wide[1]}}  {size:>{wide[2]}}  {words}".rstrip())
        for head, (state, kind, size, words) in zip(heads, rows, strict=True)
    ]


def _list_upscalers(registry: ModelRegistry) -> tuple[list[Line], list[str]]:
    """The upscalers on disk, and errors about files that are not upscalers."""
    heads: list[str] = []
    rows: list[Row] = []
    wrong: list[str] = []
    for info in registry.list_upscalers():
        if not info.is_on_disk:
            continue
        try:
            kind = architecture_of(info)
        except DreamError as error:
            wrong.append(str(error))
            continue
        heads.append(f"  {info.name}")
        rows.append(("", kind, format_bytes(measure_bytes(info.path)), info.description))
    return _format_table(heads, rows), wrong


def _list_face_models(registry: ModelRegistry) -> tuple[list[Line], list[str]]:
    """The face restorers on disk, and what finds faces for them; and errors about these files."""
    dirs = registry.models_dirs
    heads: list[str] = []
    rows: list[Row] = []
    wrong: list[str] = []
    for model in (*list_face_models(dirs).values(), find_face_detector(dirs, offline=False)):
        if model.is_on_disk:
            try:
                kind = detect_face_architecture(model.path)
            except DreamError as error:
                wrong.append(str(error))
                continue
            heads.append(f"  {model.name}")
            rows.append(("", kind, format_bytes(measure_bytes(model.path)), model.description))
    return (_format_table(heads, rows) if rows else []), wrong


def _list_control_models(registry: ModelRegistry) -> tuple[list[Line], list[str]]:
    """The control models on disk, with what they are for, and errors about files among them."""
    heads: list[str] = []
    rows: list[Row] = []
    wrong: list[str] = []
    for info in list_controls(registry.models_dirs):
        if not isinstance(info, ControlInfo):
            wrong.append(str(info))
            continue
        heads.append(f"  {info.name}")
        kind = f"{info.family} {info.kind}".strip()
        rows.append(("", kind, format_bytes(measure_bytes(info.path)), ", ".join(info.controls)))
    return (_format_table(heads, rows) if rows else []), wrong


def _row(info: ModelInfo, active: str, loaded: bool) -> Row:
    state = "in memory" if loaded else "not loaded"
    if loaded and info.name == active:
        state = "active"
    return state, describe_family(info), format_bytes(measure_model(info)), describe_details(info)


def _list_loaded_names(session: Session) -> set[str]:
    """The current names of the models in memory."""
    names = set()
    for name in session.engine.list_loaded():
        with suppress(DreamError):
            names.add(session.registry.get_model(name).name)
    return names


def switch_model(context: Context, argument: str) -> Events[None]:
    """!switch NAME: load a model and use it from now on; if it cannot be loaded, keep the current
    model."""
    session = context.session
    info = session.registry.get_model(parse_name(argument, "!switch"))
    former = get_active_model(session)
    try:
        options = get_model_options(session.base)
        with closing(session.engine.load(info.name, options=options)) as events:
            for event in events:
                if not isinstance(event, Progress):
                    yield event
    except DreamError as error:
        yield Rejected(error=error, line=f"!switch {argument}")
        yield Note(text=f"still using {former}")
        session.preload()  # it may have been unloaded to free memory
        return
    session.base = replace(session.base, model=info.name)
    yield Note(text=f"now using {info.name}: {info.width}x{info.height}, {describe_family(info)}")


def set_vae(context: Context, argument: str) -> Events[None]:
    """!vae NAME|none: set the VAE for all following lines, in place of the model's own."""
    session = context.session
    if not argument.strip():
        names = session.registry.list_vaes()
        current = session.base.vae or "the one in the model's settings, or the model's own"
        yield TextOutput(lines=(f"current: {current}", *(f"  {name}" for name in names)))
        return
    name = parse_name(argument, "!vae")
    if name != NO_VAE_WORD:
        check_vae(session.registry.get_vae(name))
    session.base = replace(session.base, vae=name)
    yield Note(text=f"now using {name if name != NO_VAE_WORD else 'the VAE of each model'}")


def optimize_model(context: Context, argument: str) -> Events[None]:
    """!optimize_model NAME: convert a single file to a folder in diffusers layout. The file is
    kept, so its images can be made again."""
    session, registry = context.session, context.session.registry
    info = registry.get_model(parse_name(argument, "!optimize_model"))
    if info.path.is_dir():
        raise ModelError(f"{info.name} is already a folder in diffusers layout")
    folder = find_writable_dir(registry.models_dirs) / f"{info.path.stem}-diffusers"
    if folder.exists():
        raise ModelError(f"{folder} already exists", f"!switch {quote_value(folder.name)}")
    with closing(session.engine.convert(info.name, folder)) as events:
        for event in events:
            if not isinstance(event, Progress):
                yield event
    size = format_bytes(measure_bytes(folder))
    yield Note(text=f"wrote {info.name} as the folder {folder.name} ({size}); the file is kept")
