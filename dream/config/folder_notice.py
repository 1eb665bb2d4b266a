"""Notices about the current folder's dream.toml and models."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.config.settings_file import FILE, is_ignored, settings_in
from dream.core.errors import DreamError


def describe_folder_settings(registry: ModelRegistry) -> tuple[str, ...]:
    """What the current folder, which someone else may have made, changes: one line for its
    dream.toml, and one for its models that replace others of the same name."""
    notices = []
    if is_ignored(Path(FILE)):
        notices.append(f"{FILE} in this folder is not a regular file; it is ignored")
    with suppress(DreamError):
        if names := settings_in(Path(FILE)):
            notices.append(f"settings from {FILE} in this folder: {', '.join(names)}")
    if shadows := registry.shadowed_by(Path("models").absolute()):
        models = ", ".join(f"{name} is {path}" for name, path in shadows.items())
        notices.append(
            f"models in this folder are used instead of others of the same name: {models}"
        )
    return tuple(notices)
