"""The house opened: a studio, with the engine and the shelf these launch options ask for."""

from __future__ import annotations

import os

from dream.catalogue import Shelf, default_models_dirs
from dream.engine.base import Machine
from dream.launch import Launch
from dream.request import Request
from dream.studio import Studio
from dream.worker import open_engine

_YES = ("1", "ON", "YES", "TRUE")
"""What huggingface_hub takes for a yes in its environment variables."""


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
    return Studio(engine, shelf, base)
