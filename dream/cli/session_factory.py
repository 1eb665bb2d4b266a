"""Create a session from launch options: the engine, the models folders, the defaults."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from dream.catalogue import ModelRegistry, find_models_dirs
from dream.catalogue.adapter_registry import AdapterDirs
from dream.catalogue.hub_addresses import check_mirror
from dream.core.cli_options import CliOptions
from dream.core.errors import BadSetting
from dream.core.file_names import is_folder, parse_path
from dream.core.request import Request
from dream.engine.interface import DeviceConfig, Engine
from dream.session import Session
from dream.worker import open_engine
from dream.worker.open_pool import open_workers, plan_workers

_ADAPTER_DIRS = {"lora": "lora_dir", "embedding": "embedding_dir"}
"""Fields of AdapterDirs, and the launch options that set them."""

_TRUE_VALUES = ("1", "ON", "YES", "TRUE")
"""Values that huggingface_hub accepts as true in its environment variables."""


def create_session(launch: CliOptions, base: Request, *, previews: bool = False) -> Session:
    """Create the session for these options. Its worker process starts when it is first needed; with
    `previews` Step events carry previews of unfinished images."""
    offline = launch.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE_VALUES
    registry = ModelRegistry(
        find_models_dirs(launch.models_dir),
        offline,
        find_adapter_dirs(launch),
        find_wildcards_dir(launch),
        check_mirror(launch.hub_mirror) if launch.hub_mirror else "",
    )
    machine = DeviceConfig(
        device=launch.device,
        precision=launch.precision,
        max_loaded_models=launch.max_loaded_models,
        max_memory=launch.max_memory,
        low_memory=launch.low_memory,
        previews=previews,
    )
    engine, base = _open_engine(launch, registry, machine, base)
    return Session(engine, registry, base, dry_run=launch.dry_run)


def _open_engine(
    launch: CliOptions, registry: ModelRegistry, machine: DeviceConfig, base: Request
) -> tuple[Engine, Request]:
    """The engine with its workers; and the defaults, which have the number of threads. Raises
    BadSetting."""
    workers = launch.workers
    if launch.same_hardware and (workers is None or workers.ray is None):
        raise BadSetting("--same_hardware is for the workers of --workers ray", "remove it")
    if workers is None:
        return open_engine(registry, machine=machine), base
    if workers.ray is not None:
        from dream.cluster import open_ray_pool  # nobody else waits for it

        pool = open_ray_pool(
            registry,
            machine,
            address=workers.ray,
            count=workers.number,
            same_hardware=launch.same_hardware,
        )
        return pool, base if base.threads else replace(base, threads=pool.threads)
    plan = plan_workers(workers, machine.device)
    if base.threads is None:  # several share the processor; a line says its number
        base = replace(base, threads=plan.threads)
    return open_workers(registry, machine, plan), base


def find_wildcards_dir(launch: CliOptions) -> Path:
    """The folder of wildcards: that of the option, or `wildcards` in the current folder. Raises
    BadSetting if the option's is not a folder, BadLine for an invalid path."""
    if launch.wildcards_dir is None:
        return Path.cwd() / "wildcards"
    return _existing_folder("wildcards_dir", launch.wildcards_dir)


def find_adapter_dirs(launch: CliOptions) -> AdapterDirs:
    """The folders of adapters that the launch options name. Raises BadSetting for one that is not a
    folder, BadLine for an invalid path."""
    dirs: dict[str, tuple[Path, ...]] = {}
    for field, option in _ADAPTER_DIRS.items():
        if (value := getattr(launch, option)) is None:
            continue
        dirs[field] = (_existing_folder(option, value),)
    return AdapterDirs(**dirs)


def _existing_folder(option: str, value: str) -> Path:
    folder = parse_path(value)
    if not is_folder(folder):
        raise BadSetting(f"--{option}: there is no folder {folder}", "create it, or choose another")
    return folder.absolute()
