"""Commands about models: which there are, which paints, what is said of them."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.upscalers import architecture_of
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
"""Of a table: state, kind, size on disk and a description."""

NO_VAE_WORD = NO_VAE
"""What takes a value away."""


def list_models(context: Context, argument: str) -> Events[None]:
    """!models: every model, `*` before the one that paints; whether it is in memory, its family,
    its size on disk; every upscaler that is here; and what is wrong with models.toml and files."""
    studio = context.studio
    loaded, active = _in_memory(studio), get_active_model(studio)
    cards = studio.shelf.list_models()
    rows = [_row(card, active, card.name in loaded) for card in cards]
    lines = _table([f"{'*' if card.name == active else ' '} {card.name}" for card in cards], rows)
    upscalers, wrong = _upscalers(studio.shelf)
    if upscalers:
        lines = [*lines, "upscalers:", *upscalers]
    complaints = (*studio.shelf.check_models(), *wrong)
    yield TextOutput(lines=(*lines, *(f"  ! {complaint}" for complaint in complaints)))


def _table(heads: list[str], rows: list[Row]) -> list[Line]:
    """State, kind, size and description, in columns."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (head, f"{state:{wide[0]}}  {kind:{wide[1]}}  {size:>{wide[2]}}  {words}".rstrip())
        for head, (state, kind, size, words) in zip(heads, rows, strict=True)
    ]


def _upscalers(shelf: ModelRegistry) -> tuple[list[Line], list[str]]:
    """Those that are here, and what lies among them that is none."""
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
    return _table(heads, rows), wrong


def _row(card: ModelInfo, active: str, loaded: bool) -> Row:
    state = "in memory" if loaded else "not loaded"
    if loaded and card.name == active:
        state = "active"
    return state, describe_family(card), format_bytes(measure_bytes(card.path)), card.description


def _in_memory(studio: Session) -> set[str]:
    """The names of the models in memory, as they are called today."""
    names = set()
    for name in studio.engine.list_loaded():
        with suppress(DreamError):
            names.add(studio.shelf.get_model(name).name)
    return names


def switch_model(context: Context, argument: str) -> Events[None]:
    """!switch NAME: load a model, and paint with it from now on; if it cannot be loaded, all stays
    as it was."""
    studio = context.studio
    card = studio.shelf.get_model(parse_name(argument, "!switch"))
    former = get_active_model(studio)
    try:
        with closing(studio.engine.load(card.name)) as happenings:
            for happening in happenings:
                if isinstance(happening, Note | Loading):
                    yield happening
    except DreamError as error:
        yield Rejected(error=error, line=f"!switch {argument}")
        yield Note(text=f"{former} goes on painting")
        studio.preload()  # it may have made room
        return
    studio.base = replace(studio.base, model=card.name)
    yield Note(
        text=f"{card.name} paints from now on; {card.width}x{card.height}, {describe_family(card)}"
    )


def set_vae(context: Context, argument: str) -> Events[None]:
    """!vae NAME|none: the VAE for all lines that follow, in place of the model's own."""
    studio = context.studio
    if not argument.strip():
        names = studio.shelf.list_vaes()
        now = studio.base.vae or "what the model's card says, or its own"
        yield TextOutput(lines=(f"now: {now}", *(f"  {name}" for name in names)))
        return
    name = parse_name(argument, "!vae")
    if name != NO_VAE_WORD:
        studio.shelf.get_vae(name)
    studio.base = replace(studio.base, vae=name)
    yield Note(text=f"{name if name != NO_VAE_WORD else 'each model with its own VAE'} from now on")


def optimize_model(context: Context, argument: str) -> Events[None]:
    """!optimize_model NAME: a single file, written once more as a folder in diffusers layout.
    The file stays, and what was made with it can be made again."""
    studio, shelf = context.studio, context.studio.shelf
    card = shelf.get_model(parse_name(argument, "!optimize_model"))
    if card.path.is_dir():
        raise ModelError(f"{card.name} is a folder in diffusers layout already")
    folder = find_writable_dir(shelf.models_dirs) / f"{card.path.stem}-diffusers"
    if folder.exists():
        raise ModelError(f"{folder} is there already", f"!switch {quote_value(folder.name)}")
    with closing(studio.engine.convert(card.name, folder)) as happenings:
        for happening in happenings:
            if isinstance(happening, Note | Loading):
                yield happening
    size = format_bytes(measure_bytes(folder))
    yield Note(text=f"{folder.name} is {card.name} as a folder ({size}); the file stays")


# ── what several of them need ──────────────────────────────────────────────────────────────────
