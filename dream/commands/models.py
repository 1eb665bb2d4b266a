"""Commands about models: which there are, which paints, what is said of them."""

from __future__ import annotations

import shutil
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.catalogue import Shelf
from dream.catalogue.cards import ModelCard
from dream.catalogue.edit import forget, say
from dream.catalogue.entries import BESIDES, VALUES
from dream.catalogue.places import shipped_models, writable_dir
from dream.commands.base import Context, Edit, Line, Page
from dream.errors import BadLine, DreamError, ModelError
from dream.events import Events, Loading, Note, Refused
from dream.line import words
from dream.line.words import spell
from dream.request import NO_VAE
from dream.studio import Studio

NOTHING = NO_VAE
"""What takes a value away."""


def models(context: Context, argument: str) -> Events[None]:
    """!models: every model, whether it is in memory, and what is wrong with models.toml."""
    studio = context.studio
    loaded, active = studio.engine.loaded(), active_model(studio)
    lines: list[Line] = [_row(card, active, card.name in loaded) for card in studio.shelf.models()]
    complaints = studio.shelf.complaints()
    yield Page(lines=(*lines, *(f"  ! {complaint}" for complaint in complaints)))


def _row(card: ModelCard, active: str, loaded: bool) -> Line:
    state = "in memory" if loaded else "not loaded"
    if card.name == active:
        state = "active" if loaded else "active, not loaded"
    words = [state, card.family, size_of(bytes_on_disk(card.path)), card.description]
    return f"{'*' if card.name == active else ' '} {card.name}", "  ".join(filter(None, words))


def switch(context: Context, argument: str) -> Events[None]:
    """!switch NAME: load a model, and paint with it from now on; if it cannot be loaded, all stays
    as it was."""
    studio = context.studio
    card = studio.shelf.model(one_name(argument, "!switch"))
    former = active_model(studio)
    try:
        with closing(studio.engine.load(card.name)) as happenings:
            for happening in happenings:
                if isinstance(happening, Note | Loading):
                    yield happening
    except DreamError as error:
        yield Refused(error=error, line=f"!switch {argument}")
        yield Note(text=f"{former} goes on painting")
        studio.warm()  # it may have made room
        return
    studio.base = replace(studio.base, model=card.name)
    yield Note(text=f"{card.name} paints from now on; {card.width}x{card.height}, {card.family}")


def vae(context: Context, argument: str) -> Events[None]:
    """!vae NAME|none: the VAE for all lines that follow, in place of the model's own."""
    studio = context.studio
    if not argument.strip():
        names = studio.shelf.vaes()
        now = studio.base.vae or "what the model's card says, or its own"
        yield Page(lines=(f"now: {now}", *(f"  {name}" for name in names)))
        return
    name = one_name(argument, "!vae")
    if name != NOTHING:
        studio.shelf.vae(name)
    studio.base = replace(studio.base, vae=name)
    yield Note(text=f"{name if name != NOTHING else 'each model with its own VAE'} from now on")


def edit_model(context: Context, argument: str) -> Events[None]:
    """!edit_model NAME FIELD VALUE…: say something of a model in models.toml."""
    shelf = context.studio.shelf
    said = list(words(argument))
    if len(said) < 3:
        raise BadLine(f"!edit_model takes NAME FIELD VALUE; the fields are {_fields()}")
    name = listed_name(shelf, said[0].text)
    field = said[1].text
    text = said[2].text if len(said) == 3 else argument[said[2].start :].strip()
    file = say(shelf.models_dirs, name, {field: _value(field, text)})
    yield Note(text=f"{file}: {name}'s {field} is {text}")


def _value(field: str, text: str) -> Any:
    """What models.toml gets. Raises BadLine."""
    if field not in (*VALUES, *BESIDES):
        raise BadLine(f"“{field}” is not said of a model; the fields are {_fields()}")
    if text == NOTHING:
        return None
    if field == "default":
        if text not in ("true", "false"):
            raise BadLine(f"default takes true or false, not “{text}”")
        return text == "true" or None
    if field == "path":
        path = Path(text).expanduser().absolute()
        if not path.exists():
            raise BadLine(f"nothing lies at {path}")
        return path
    try:
        return VALUES[field].read([text])
    except ValueError:
        raise BadLine(f"{field} takes {VALUES[field].means}, not “{text}”") from None


def _fields() -> str:
    return " ".join((*VALUES, *BESIDES))


def del_model(context: Context, argument: str) -> Events[None]:
    """!del_model NAME [--files]: forget what models.toml says of a model; with --files, and only
    in the models folders, delete its files too."""
    studio, shelf = context.studio, context.studio.shelf
    said = [word.text for word in words(argument)]
    files = "--files" in said
    name = listed_name(shelf, one_name(" ".join(w for w in said if w != "--files"), "!del_model"))
    path = shelf.places()[name]
    if name == active_model(studio):
        raise ModelError(f"{name} is the model that paints", "!switch to another one first")
    inside = _is_ours(path, shelf)
    if files:
        _delete(name, path, inside)
        forget(shelf.models_dirs, name)
        yield Note(text=f"{name} is gone, and {path} too")
        return
    if forget(shelf.models_dirs, name):
        yield Note(text=f"models.toml says nothing of {name} any more; {path} stays")
    if inside:
        yield Note(text=f"the same with --files deletes {path} ({size_of(bytes_on_disk(path))})")
        yield Edit(text=f"!del_model {spell(name)} --files")


def _is_ours(path: Path, shelf: Shelf) -> bool:
    """Whether a model lies in a models folder: it itself, not what it may be a link to."""
    here = path.parent.resolve()
    return any(here.is_relative_to(folder.resolve()) for folder in shelf.models_dirs)


def _delete(name: str, path: Path, inside: bool) -> None:
    if not inside:
        raise ModelError(
            f"{path} lies in no models folder, and is left alone",
            f"!del_model {spell(name)} takes it from models.toml",
        )
    if path == shipped_models() / name:
        raise ModelError(f"{name} comes with dream, and stays")
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise ModelError(f"{path} cannot be deleted: {error.strerror or error}") from error


def optimize_model(context: Context, argument: str) -> Events[None]:
    """!optimize_model NAME: a single file, written once more as a folder in diffusers layout.
    The file stays, and what was made with it can be made again."""
    studio, shelf = context.studio, context.studio.shelf
    card = shelf.model(one_name(argument, "!optimize_model"))
    if card.path.is_dir():
        raise ModelError(f"{card.name} is a folder in diffusers layout already")
    folder = writable_dir(shelf.models_dirs) / f"{card.path.stem}-diffusers"
    if folder.exists():
        raise ModelError(f"{folder} is there already", f"!switch {spell(folder.name)}")
    with closing(studio.engine.convert(card.name, folder)) as happenings:
        for happening in happenings:
            if isinstance(happening, Note | Loading):
                yield happening
    size = size_of(bytes_on_disk(folder))
    yield Note(text=f"{folder.name} is {card.name} as a folder ({size}); the file stays")


# ── what several of them need ──────────────────────────────────────────────────────────────────


def active_model(studio: Studio) -> str:
    """The name of the model for lines that name none; empty when there is none at all."""
    try:
        return studio.shelf.model(studio.base.model or studio.shelf.default()).name
    except DreamError:
        return studio.base.model or ""


def one_name(argument: str, command: str) -> str:
    """The name that follows a command; with spaces in it, in quotes or not. Raises BadLine."""
    said = [word.text for word in words(argument)]
    if not said:
        raise BadLine(f"{command} takes the name of a model, but nothing follows")
    return said[0] if len(said) == 1 else argument.strip()


def listed_name(shelf: Shelf, name: str) -> str:
    """The name, if a models folder or models.toml has it. Raises ModelError with near names."""
    if name in shelf.places():
        return name
    return shelf.model(name).name


def bytes_on_disk(path: Path) -> int:
    """Of a file, or of all in a folder; 0 for what cannot be read."""
    return sum(_bytes(file) for file in ([path] if path.is_file() else path.rglob("*")))


def _bytes(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def size_of(size: int) -> str:
    """Bytes in words: 5.1 MB, 2.1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
