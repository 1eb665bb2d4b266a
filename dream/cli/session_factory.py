"""Create a session from launch options: the engine, the models folders, the defaults."""

from __future__ import annotations

import os

from dream.catalogue import ModelRegistry, find_models_dirs
from dream.core.cli_options import CliOptions
from dream.core.request import Request
from dream.engine.interface import DeviceConfig
from dream.session import Session
from dream.worker import open_engine

_TRUE_VALUES = ("1", "ON", "YES", "TRUE")
"""Values that huggingface_hub accepts as true in its environment variables."""


def create_session(launch: CliOptions, base: Request, *, previews: bool = False) -> Session:
    """Create the session for these options. Its worker process starts when it is first needed; with
    `previews` Step events carry previews of unfinished images."""
    offline = launch.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE_VALUES
    registry = ModelRegistry(find_models_dirs(launch.models_dir), offline)
    machine = DeviceConfig(
        device=launch.device,
        precision=launch.precision,
        max_loaded_models=launch.max_loaded_models,
        max_memory=launch.max_memory,
        low_memory=launch.low_memory,
        previews=previews,
    )
    engine = open_engine(registry, machine=machine)
    return Session(engine, registry, base, dry_run=launch.dry_run)
