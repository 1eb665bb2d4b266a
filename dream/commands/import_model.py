"""Commands that import models: from disk, a URL, Hugging Face, or InvokeAI's models.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dream.catalogue import ModelRegistry
from dream.catalogue.discovery import INDEX, normalize_path
from dream.catalogue.invokeai_models import read_models_yaml
from dream.catalogue.models_toml_writer import set_values
from dream.catalogue.read_model_info import read_model
from dream.commands.command import Context, find_named_file
from dream.commands.import_folder import has_several_models, refuse_options, scan_folder
from dream.commands.import_known import import_known_files
from dream.commands.import_remote import (
    download_file,
    download_folder,
    get_model_name,
    is_address,
    parse_file_name,
    require_hub,
    require_online,
)
from dream.commands.model_text import describe_family, format_bytes, measure_bytes
from dream.core.errors import BadLine, DreamError, ModelError
from dream.core.events import Events, Note
from dream.core.file_names import parse_path, path_exists_at
from dream.line import split_words
from dream.line.words import quote_value
from dream.options.known_model import KnownModel
from dream.options.known_models import find_known
from dream.options.option_type import BOOLEAN_FLAG, OptionType, text

if TYPE_CHECKING:
    from dream.catalogue.hub import HubId

# Network modules are imported with the first download, not at startup.

NAME, DESCRIPTION, EMA, ALL = "--name", "--description", "--ema", "--all"
IMPORT_OPTIONS: Mapping[str, OptionType[Any]] = MappingProxyType(
    {
        NAME: text("NAME", "its name in dream"),
        DESCRIPTION: text("WORDS", "a short description for !models"),
        EMA: replace(BOOLEAN_FLAG, expects="use the EMA weights instead of the trained ones"),
        ALL: replace(BOOLEAN_FLAG, expects="import every model in a folder without asking"),
    }
)


def import_model(context: Context, argument: str) -> Events[None]:
    """!import_model WHAT [--name N] [--description "…"] [--ema] [--all]: add a model to
    models.toml; from a folder of models all of them. Local files stay where they are."""
    request, registry = parse_import(argument), context.session.registry
    name = request.options.get(NAME, "")
    if is_address(request.what):
        yield from _import_from_url(request, registry)
    elif path := find_local_path(request.what):
        if has_several_models(path):
            yield from _import_folder(path, request, registry)
        else:
            name = name or get_existing_name(path, registry)
            yield from _add_to_models_toml(registry, path, name, request.values)
    elif known := find_known(request.what):
        yield from _import_known(known, request, registry)
    else:
        yield from _import_from_hub(request.what, name, request, registry)


def _import_known(
    known: KnownModel, request: ImportRequest, registry: ModelRegistry
) -> Events[None]:
    """Import a model by its short name: its files, or its folder in diffusers layout."""
    if known.hub:
        name = request.options.get(NAME, known.name)
        yield from _import_from_hub(known.hub, name, request, registry)
        return
    refuse_options(Path(known.name), len(known.files), request.single_model_options)
    yield from import_known_files(known, registry)


def _import_from_hub(
    hub_id: str, name: str, request: ImportRequest, registry: ModelRegistry
) -> Events[None]:
    parsed = _parse_hub_id(hub_id, registry, name)
    folder = yield from download_folder(parsed, name, registry)
    yield from _add_to_models_toml(registry, folder, name or folder.name, request.values)


def _import_from_url(request: ImportRequest, registry: ModelRegistry) -> Events[None]:
    name = request.options.get(NAME, "")
    downloaded = yield from download_file(request.what, name, registry, ema=request.ema)
    name = name or downloaded.path.stem
    if downloaded.vae:
        yield Note(
            text=f"{downloaded.path} is a VAE; !vae {quote_value(downloaded.path.stem)} uses it"
        )
        return
    prediction = {"prediction": downloaded.prediction} if downloaded.prediction else {}
    yield from _add_to_models_toml(registry, downloaded.path, name, request.values | prediction)


def _import_folder(folder: Path, request: ImportRequest, registry: ModelRegistry) -> Events[None]:
    """Import every model in a folder."""
    scan = scan_folder(folder)
    yield from (Note(text=line) for line in scan.describe_left_out())
    if not scan.models:
        raise ModelError(
            f"{folder} contains no model", f"a model is a folder with {INDEX}, or a file"
        )
    if len(scan.models) > 1:
        refuse_options(folder, len(scan.models), request.single_model_options)
    for name, info in scan.models.items():
        try:
            name = request.options.get(NAME) or get_existing_name(info.path, registry, name)
            yield from _add_to_models_toml(registry, info.path, name, request.values)
        except DreamError as error:
            if request.single_model_options:
                raise
            yield Note(text=f"skipped: {error}")


def _add_to_models_toml(
    registry: ModelRegistry, path: Path, name: str, values: Mapping[str, Any]
) -> Events[None]:
    """Add the model to models.toml unless it is listed already. Raises ModelError."""
    existing = registry.find_paths().get(name)
    if existing is not None and not existing.samefile(path):
        raise ModelError(f"model {name} already exists: {existing}", "choose another --name")
    info = read_model(name, path, lambda complaint: None)
    if "ema" in values and not info.averages:
        raise ModelError(f"{path} has no EMA weights", "remove --ema")
    if existing is None:
        values = {"path": path, **values}
    if values:
        set_values(registry.models_dirs, name, values)
    quoted = quote_value(name)
    size = f"{info.width}x{info.height}, {format_bytes(measure_bytes(path))}"
    yield Note(text=f"imported {name}: {describe_family(info)}, {size}; !switch {quoted} uses it")
    if info.averages and "ema" not in values:
        yield Note(text=f"it also has EMA weights; !edit_model {quoted} --ema uses them")


def _parse_hub_id(what: str, registry: ModelRegistry, name: str = "") -> HubId:
    """Return the hub id. Raises ModelError if it is not one, or if downloads are forbidden."""
    from dream.catalogue.hub import parse_hub_id

    request = parse_hub_id(what)
    if request is None:
        raise ModelError(
            f"{what} does not exist",
            "name a file, a folder, a URL, owner/name on Hugging Face, or one of !models --known",
        )
    require_hub(registry, request, name)
    return request


def import_models_yaml(context: Context, argument: str) -> Events[None]:
    """!import_models_yaml FILE: add the models of InvokeAI's models.yaml to models.toml."""
    registry = context.session.registry
    default = registry.get_configured_default()
    for entry in read_models_yaml(find_named_file(context, argument, "!import_models_yaml")):
        if entry.why_not:
            yield Note(text=f"skipped {entry.name}: {entry.why_not}")
            continue
        values = dict(entry.values)
        if default and default != entry.name and values.pop("default", False):
            yield Note(text=f"{default} stays the default; in that list it is {entry.name}")
        set_values(registry.models_dirs, entry.name, values)
        yield Note(text=f"{entry.name}: {values['path']}")
        if entry.lacks:
            yield Note(
                text=f"{entry.name} uses its own VAE because {entry.lacks} was not found; "
                f"!edit_model {quote_value(entry.name)} vae PATH sets another"
            )


@dataclass(frozen=True)
class ImportRequest:
    """The arguments of !import_model."""

    what: str
    options: Mapping[str, str]
    """The values of options, by name."""
    everything: bool
    """Whether to import every model in a folder without asking."""
    ema: bool

    @property
    def values(self) -> dict[str, Any]:
        """The model's settings for models.toml."""
        described = (
            {"description": self.options[DESCRIPTION]} if DESCRIPTION in self.options else {}
        )
        return described | ({"ema": True} if self.ema else {})

    @property
    def single_model_options(self) -> list[str]:
        """The names of the options that apply to one model only."""
        return [*self.options, *([EMA] if self.ema else [])]


def parse_import(argument: str) -> ImportRequest:
    """Parse the arguments of !import_model. Raises BadLine."""
    options: dict[str, str] = {}
    flags: set[str] = set()
    places: list[str] = []
    rest = iter(split_words(argument))
    for word in rest:
        name, equals, value = word.text.partition("=")
        if not word.switch:
            places.append(word.text)
        elif name not in IMPORT_OPTIONS:
            raise BadLine(f"!import_model has no option {word.text}", 0, " ".join(IMPORT_OPTIONS))
        elif not IMPORT_OPTIONS[name].nargs[1]:
            flags.add(name)
        elif following := value if equals else next((w.text for w in rest), ""):
            options[name] = following
        else:
            raise BadLine(f"{name} needs a value")
    if not places:
        raise BadLine("!import_model needs a file, a folder, a URL, or owner/name on Hugging Face")
    return ImportRequest(" ".join(places), options, everything=ALL in flags, ema=EMA in flags)


def get_default_name(what: str, registry: ModelRegistry) -> str:
    """The default name of a model; empty where only the server knows it. Raises ModelError if it
    is not on this machine and cannot be downloaded."""
    if is_address(what):
        require_online(registry, what)
        return get_model_name(parse_file_name(what))
    path = find_local_path(what)
    return _parse_hub_id(what, registry).name if path is None else get_existing_name(path, registry)


def find_local_path(what: str) -> Path | None:
    """Return the absolute path of a local file or folder; None if it does not exist."""
    try:
        path = parse_path(what)
    except BadLine:
        return None
    return normalize_path(path) if path_exists_at(path) else None


def get_existing_name(path: Path, registry: ModelRegistry, otherwise: str = "") -> str:
    """The listed name of a file or folder, else `otherwise` or a name from its path."""
    listed = (name for name, other in registry.find_paths().items() if other.samefile(path))
    return next(listed, otherwise or (path.name if path.is_dir() else path.stem))
