"""Commands that list adapters."""

from __future__ import annotations

from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA, AdapterKind
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.embedding_info import read_embedding_info
from dream.catalogue.lora_info import LoraInfo, fits
from dream.commands.command import Context, Line, TextOutput
from dream.commands.model_text import format_bytes, get_active_model, measure_bytes
from dream.core.errors import DreamError
from dream.core.events import Events
from dream.session import Session


def list_loras(context: Context, argument: str) -> Events[None]:
    """!loras [TEXT]: list LoRAs, those that fit the active model first, with family, rank, size and
    trigger words; and files that cannot be read."""
    session = context.session
    family = find_active_family(session)
    query = argument.strip().casefold()
    fitting: list[Line] = []
    others: list[Line] = []
    problems: list[Line] = []
    for lora in AdapterRegistry.of(session.registry).list_loras():
        if not isinstance(lora, LoraInfo):
            problems.append(f"  ! {lora}")
        elif query in lora.name.casefold() and lora.is_lora:
            (fitting if fits(lora, family) else others).append(_row(lora))
    lines: list[Line] = [*fitting]
    if others:
        lines += ["for other models:", *others]
    if not lines and not problems:
        lines = [_nothing_found(LORA, argument)]
    yield TextOutput(lines=(*lines, *problems))


def list_embeddings(context: Context, argument: str) -> Events[None]:
    """!embeddings [TEXT]: list embeddings, with family, number of vectors and size; and files that
    cannot be read."""
    registry = AdapterRegistry.of(context.session.registry)
    query = argument.strip().casefold()
    lines: list[Line] = []
    problems: list[Line] = []
    for name, path in registry.find(EMBEDDING).items():
        if query not in name.casefold():
            continue
        try:
            info = read_embedding_info(name, path)
        except DreamError as error:
            problems.append(f"  ! {error}")
            continue
        facts = [describe_family(info.family) if info.family else "unknown family"]
        if info.vectors:
            facts.append("1 vector" if info.vectors == 1 else f"{info.vectors} vectors")
        facts.append(format_bytes(measure_bytes(path)))
        lines.append((f"  {name}", ", ".join(facts)))
    if not lines and not problems:
        lines = [_nothing_found(EMBEDDING, argument)]
    yield TextOutput(lines=(*lines, *problems))


def list_hypernetworks(context: Context, argument: str) -> Events[None]:
    """!hypernets [TEXT]: list hypernetworks, with their size."""
    registry = AdapterRegistry.of(context.session.registry)
    wanted = argument.strip().casefold()
    lines: list[Line] = []
    for name, path in registry.find(HYPERNET).items():
        if wanted in name.casefold():
            lines.append((f"  {name}", format_bytes(measure_bytes(path))))
    yield TextOutput(lines=tuple(lines or [_nothing_found(HYPERNET, argument)]))


def _nothing_found(kind: AdapterKind, argument: str) -> str:
    if text := argument.strip():
        return f"no {kind.called} has “{text}” in its name"
    return f"no {kind.called} found; put files into {kind.places[0]}/ in a models folder"


def find_active_family(session: Session) -> str:
    """The family of the model for lines that do not name one; “other” if there is none."""
    try:
        return session.registry.get_model(get_active_model(session)).family
    except DreamError:
        return "other"


def _row(info: LoraInfo) -> Line:
    facts = [describe_family(info.family) if info.family else "unknown family"]
    if info.rank:
        facts.append(f"rank {info.rank}")
    facts.append(format_bytes(measure_bytes(info.path)))
    if info.triggers:
        facts.append("triggers: " + ", ".join(info.triggers))
    return f"  {info.name}", ", ".join(facts)
