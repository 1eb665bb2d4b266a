"""The names that AUTOMATIC1111 gives to checkpoints, and what they mean here."""

from __future__ import annotations

import re
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.core.request import NO_VAE
from dream.core.weight_digests import read_known_digest
from dream.session.foreign_models import ModelLookup

_HASH = re.compile(r"\s*\[([0-9a-fA-F]{8,64})\]\s*$")
_SHORT = 10
"""Digits of a hash in a title."""
AUTOMATIC_VAE = "Automatic"


def get_digest(path: Path) -> str:
    """The SHA-256 of a model in one file, 64 hex digits; empty if it is not known yet."""
    return read_known_digest((path,)) if path.is_file() else ""


def make_title(name: str, path: Path) -> str:
    """`NAME.safetensors [0123456789]`; for a folder, or before the hash is known, without it."""
    file = path.name if path.is_file() else name
    digest = get_digest(path)
    return f"{file} [{digest[:_SHORT]}]" if digest else file


def find_model(registry: ModelRegistry, title: str) -> str | None:
    """The model that a title means: with or without ending and hash; None if there is none."""
    if title in registry.find_paths():
        return title
    match = _HASH.search(title)
    name, digest = (title[: match.start()], match[1]) if match else (title, "")
    return ModelLookup(registry).find_model(name, digest) or None


def find_vae(registry: ModelRegistry, name: str) -> str | None:
    """The VAE that a name means; empty for the model's default, None if there is none."""
    if name.casefold() == AUTOMATIC_VAE.casefold():
        return ""
    if name.casefold() == "none":
        return NO_VAE
    return ModelLookup(registry).find_vae(name) or None
