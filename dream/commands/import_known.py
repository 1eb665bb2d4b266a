"""Imports well-known models by short names: see `options.known_models`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dream.catalogue import ModelRegistry
from dream.catalogue.layouts import find_program_folder
from dream.catalogue.model_dirs import find_writable_dir
from dream.commands.command import Line
from dream.commands.download_events import follow_download
from dream.commands.model_text import format_bytes
from dream.core.errors import ModelError
from dream.core.events import Events, Note
from dream.line.words import quote_value
from dream.options.known_model import KnownFile, KnownModel
from dream.options.known_models import KNOWN_MODELS
from dream.options.known_parts import KNOWN_PARTS

if TYPE_CHECKING:
    from dream.catalogue.download import OnProgress

MUCH = 10**9
"""Bytes of a download that is asked about at a terminal."""


def import_known_files(known: KnownModel, registry: ModelRegistry) -> Events[None]:
    """Download the files of a known model into the folders of a models folder; those that exist are
    kept, and interrupted downloads continue. Raises ModelError, FetchError."""
    folder = find_program_folder(find_writable_dir(registry.models_dirs))
    targets = [(file, folder / file.folder / file.name) for file in known.files]
    absent = [(file, target) for file, target in targets if not target.exists()]
    if registry.offline and absent:
        by_hand = (f"{file.repo}/{file.path} to {target}" for file, target in absent)
        raise ModelError(
            f"{known.name} is not on this machine, and --offline forbids downloads",
            f"download by hand: {'; '.join(by_hand)}",
        )
    yield from follow_download(
        lambda on_progress, on_note: _download(
            known, targets, on_progress, on_note, registry.hub_mirror
        )
    )
    denoisers = [target for file, target in targets if file.folder == "diffusion_models"]
    text = f"imported {known.name} ({known.title}) into {folder}"
    use = f"; !switch {quote_value(denoisers[0].stem)} uses it" if denoisers else ""
    yield Note(text=text + use)


def _download(
    known: KnownModel,
    targets: list[tuple[KnownFile, Path]],
    on_progress: OnProgress,
    on_note: Callable[[str], None],
    mirror: str,
) -> None:
    from dream.catalogue.hub import download_file  # uses the network

    arrived = 0
    for file, target in targets:
        before = arrived
        download_file(
            file.repo,
            file.path,
            target,
            lambda now, _, before=before: on_progress(before + now, known.size),  # type: ignore[misc]
            on_note,
            mirror,
        )
        arrived += file.size


def describe_known(known: KnownModel) -> str:
    """Title, size, licence, and whether it is gated, in one line."""
    gated = ", gated: accept its licence on Hugging Face first" if known.gated else ""
    return f"{known.title}; {format_bytes(known.size)}, licence {known.licence}{gated}"


def list_known() -> tuple[Line, ...]:
    """The models and parts with short names."""
    return (
        "models that !import_model NAME downloads:",
        *((f"  {known.name}", describe_known(known)) for known in KNOWN_MODELS),
        "model parts:",
        *((f"  {known.name}", describe_known(known)) for known in KNOWN_PARTS),
    )
