"""What the current folder decides: its dream.toml, and its models."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.config.settings_file import FILE, settings_in
from dream.core.errors import DreamError


def describe_folder_settings(shelf: ModelRegistry) -> tuple[str, ...]:
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
