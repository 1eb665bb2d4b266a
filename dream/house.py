"""The house opened: a studio, with the engine and the shelf these launch options ask for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dream.catalogue import Shelf, default_models_dirs
from dream.engine.base import Machine
from dream.errors import DreamError
from dream.launch import Launch
from dream.request import Request
from dream.settings import FILE, settings_in
from dream.studio import Studio
from dream.worker import open_engine

_YES = ("1", "ON", "YES", "TRUE")
"""What huggingface_hub takes for a yes in its environment variables."""


def taken_from_here(shelf: Shelf) -> tuple[str, ...]:
    """What the current folder, which somebody else may have made, has a say in: one line for its
    dream.toml, and one for models in it that stand in place of others of their name."""
    said = []
    with suppress(DreamError):
        if names := settings_in(Path(FILE)):
            said.append(f"settings from {FILE} in this folder: {', '.join(names)}")
    if shadows := shelf.shadowed_by(Path("models").absolute()):
        models = ", ".join(f"{name} is {path}" for name, path in shadows.items())
        said.append(f"models in this folder are used in place of others of their name: {models}")
    return tuple(said)


def open_studio(launch: Launch, base: Request, *, previews: bool = False) -> Studio:
    """The studio these launch options ask for. Its worker process starts when it is wanted; with
    `previews` it looks at pictures in the making."""
    offline = launch.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES
    shelf = Shelf(default_models_dirs(launch.models_dir), offline)
    machine = Machine(
        device=launch.device,
        precision=launch.precision,
        max_loaded_models=launch.max_loaded_models,
        max_memory=launch.max_memory,
        low_memory=launch.low_memory,
        previews=previews,
    )
    engine = open_engine(shelf, machine=machine)
    return Studio(engine, shelf, base, dry_run=launch.dry_run)
