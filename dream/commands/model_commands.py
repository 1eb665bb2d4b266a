"""Commands that list, load and convert models, and set the VAE."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.upscalers import architecture_of
from dream.catalogue.vaes import check_vae
from dream.commands.command import Context, Line, TextOutput
from dream.commands.model_text import (
    describe_family,
    format_bytes,
    get_active_model,
    measure_bytes,
    parse_name,
)
from dream.core.errors import DreamError, ModelError
from dream.core.events import Events, Loading, Note, Rejected
from dream.core.request import NO_VAE
from dream.line.words import quote_value
from dream.session import Session

Row = tuple[str, str, str, str]
"""A row of the table: state, kind, size on disk and description."""

NO_VAE_WORD = NO_VAE
"""The word that removes a value."""


def list_models(context: Context, argument: str) -> Events[None]:
    """!models: list every model, with `*` before the active one, whether it is in memory, its
    family and its size on disk; every upscaler on disk; and problems in models.toml and files."""
    studio = context.studio
    loaded, active = _list_loaded_names(studio), get_active_model(studio)
    cards = studio.shelf.list_models()
    rows = [_row(card, active, card.name in loaded) for card in cards]
    lines = _format_table(
        [f"{'*' if card.name == active else ' '} {card.name}" for card in cards], rows
    )
    upscalers, wrong = _list_upscalers(studio.shelf)
    if upscalers:
        lines = [*lines, "upscalers:", *upscalers]
    problems = (*studio.shelf.check_models(), *wrong)
    yield TextOutput(lines=(*lines, *(f"  ! {problem}" for problem in problems)))


def _format_table(heads: list[str], rows: list[Row]) -> list[Line]:
    """State, kind, size and description, in columns."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (head, f"{state:{wide[0]}}  {kind:{wide[1]}}  {size:>{wide[2]}}  {words}".rstrip())
        for head, (state, kind, size, words) in zip(heads, rows, strict=True)
    ]


def _list_upscalers(shelf: ModelRegistry) -> tuple[list[Line], list[str]]:
    """The upscalers on disk, and errors about files that are not upscalers."""
    heads: list[str] = []
    rows: list[Row] = []
    wrong: list[str] = []
    for card in shelf.list_upscalers():
        if not card.is_on_disk:
            continue
        try:
            kind = architecture_of(card)
        except DreamError as error:
            wrong.append(str(error))
            continue
        heads.append(f"  {card.name}")
        rows.append(("", kind, format_bytes(measure_bytes(card.path)), card.description))
    return _format_table(heads, rows), wrong


def _row(card: ModelInfo, active: str, loaded: bool) -> Row:
    state = "in memory" if loaded else "not loaded"
    if loaded and card.name == active:
        state = "active"
    return state, describe_family(card), format_bytes(measure_bytes(card.path)), card.description


def _list_loaded_names(studio: Session) -> set[str]:
    """The current names of the models in memory."""
    names = set()
    for name in studio.engine.list_loaded():
        with suppress(DreamError):
            names.add(studio.shelf.get_model(name).name)
    return names


def switch_model(context: Context, argument: str) -> Events[None]:
    """!switch NAME: load a model and use it from now on; if it cannot be loaded, keep the current
    model."""
    studio = context.studio
    card = studio.shelf.get_model(parse_name(argument, "!switch"))
    former = get_active_model(studio)
    try:
        with closing(studio.engine.load(card.name)) as events:
            for event in events:
                if isinstance(event, Note | Loading):
                    yield event
    except DreamError as error:
        yield Rejected(error=error, line=f"!switch {argument}")
        yield Note(text=f"still using {former}")
        studio.preload()  # it may have been unloaded to free memory
        return
    studio.base = replace(studio.base, model=card.name)
    yield Note(text=f"now using {card.name}: {card.width}x{card.height}, {describe_family(card)}")


def set_vae(context: Context, argument: str) -> Events[None]:
    """!vae NAME|none: set the VAE for all following lines, in place of the model's own."""
    studio = context.studio
    if not argument.strip():
        names = studio.shelf.list_vaes()
        current = studio.base.vae or "the one in the model's settings, or the model's own"
        yield TextOutput(lines=(f"current: {current}", *(f"  {name}" for name in names)))
        return
    name = parse_name(argument, "!vae")
    if name != NO_VAE_WORD:
        check_vae(studio.shelf.get_vae(name))
    studio.base = replace(studio.base, vae=name)
    yield Note(text=f"now using {name if name != NO_VAE_WORD else 'the VAE of each model'}")


def optimize_model(context: Context, argument: str) -> Events[None]:
    """!optimize_model NAME: convert a single file to a folder in diffusers layout. The file is
    kept, so its images can be made again."""
    studio, shelf = context.studio, context.studio.shelf
    card = shelf.get_model(parse_name(argument, "!optimize_model"))
    if card.path.is_dir():
        raise ModelError(f"{card.name} is already a folder in diffusers layout")
    folder = find_writable_dir(shelf.models_dirs) / f"{card.path.stem}-diffusers"
    if folder.exists():
        raise ModelError(f"{folder} already exists", f"!switch {quote_value(folder.name)}")
    with closing(studio.engine.convert(card.name, folder)) as events:
        for event in events:
            if isinstance(event, Note | Loading):
                yield event
    size = format_bytes(measure_bytes(folder))
    yield Note(text=f"wrote {card.name} as the folder {folder.name} ({size}); the file is kept")
