"""Resolves what adapters decide: which embeddings a prompt uses, and the settings that a few-step
LoRA needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dream.catalogue.adapter_files import EMBEDDING
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.embedding_info import read_embedding_info
from dream.catalogue.few_step import FewStepSettings, find_few_step_settings
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.suggest import suggest_names
from dream.catalogue.taesd import find_decoder_file
from dream.core.errors import excerpt
from dream.core.request import Request
from dream.options.embedding_triggers import find_triggered, find_unknown
from dream.options.engine_table import AUTO_DECODER, SMALL_DECODER
from dream.options.syntax_table import PLAIN


def apply_few_step_defaults(
    request: Request, info: ModelInfo, adapters: AdapterRegistry | None
) -> tuple[Request, ModelInfo, tuple[str, ...]]:
    """The request and the model's defaults with the steps, guidance, sampler and schedule of the
    first few-step LoRA, for what the line leaves open; and a note that says so. Raises ModelError
    for a LoRA that does not exist."""
    for lora in request.lora or () if adapters else ():
        assert adapters is not None
        lora_info = adapters.get_lora(lora.name)
        settings = find_few_step_settings(
            lora_info.name, lora_info.path.stem, lora_info.output_name
        )
        if settings is None or lora.weight <= 0:
            continue
        changes = dict(_open_settings(request, settings))
        if not changes:
            return request, info, ()
        used = " ".join(f"{switch}{value}" for switch, value in changes.values())
        schedule = request.schedule
        if "sampler" in changes and not schedule:
            schedule = settings.schedule or None
            used += f" --schedule={schedule}" if schedule else ""
        values: dict[str, Any] = {
            "steps": settings.steps,
            "cfg_scale": settings.cfg_scale,
            "sampler": settings.sampler or info.sampler,
        }
        note = f"{lora.name} is a few-step LoRA ({settings.called}): using {used}"
        return replace(request, schedule=schedule), replace(info, **values), (note,)
    return request, info, ()


def _open_settings(
    request: Request, settings: FewStepSettings
) -> Iterator[tuple[str, tuple[str, object]]]:
    """The settings that the line leaves open: the field, its switch and the value."""
    if not request.steps:
        yield "steps", ("-s", settings.steps)
    if not request.cfg_scale:
        yield "cfg_scale", ("-C", f"{settings.cfg_scale:g}")
    if not request.sampler and settings.sampler:
        yield "sampler", ("-A", settings.sampler)


def resolve_adapters(
    request: Request, info: ModelInfo, adapters: AdapterRegistry | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The recipe's fields for adapters, and notes. Raises as `resolve_embeddings`."""
    embedding, notes = resolve_embeddings(request, info, adapters)
    values = {
        "lora": request.lora or None,
        "hypernet": request.hypernet or None,
        "embedding": embedding,
    }
    return values, notes


def resolve_embeddings(
    request: Request, info: ModelInfo, adapters: AdapterRegistry | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The embeddings of a recipe, and notes. Those that the line names; by default, all whose names
    are in the prompt, but not those for another model family, and none with `--syntax plain`.
    Raises ModelError for one that does not exist or cannot be read."""
    if request.embedding is not None or adapters is None or request.syntax == PLAIN:
        return request.embedding or None, ()
    known = adapters.find(EMBEDDING)
    used: list[str] = []
    notes: list[str] = []
    text = f"{request.prompt}\n{request.negative}"
    for name in find_unknown(text, known):
        hint = suggest_names(name, known)
        notes.append(
            f"there is no embedding {excerpt(name)}; its name is read as words"
            + (f" ({hint})" if hint else "")
        )
    for name in find_triggered(text, known):
        embedding = read_embedding_info(name, known[name])
        if embedding.family in ("", info.family) or info.family == "other":
            used.append(name)
        else:
            family = describe_family(embedding.family)
            notes.append(f"the embedding {name} is for {family}; ignored with {info.name}")
    return tuple(used) or None, tuple(notes)


def resolve_decoder(
    wanted: str | None, info: ModelInfo, adapters: AdapterRegistry | None
) -> str | None:
    """The small decoder, if the line asks for it, or for the best one and it is installed for this
    model; else None."""
    if wanted != AUTO_DECODER:
        return wanted if wanted == SMALL_DECODER else None
    folders = adapters.models_dirs if adapters else ()
    installed = info.preview is None and find_decoder_file(info.family, folders) is not None
    return SMALL_DECODER if installed else None
