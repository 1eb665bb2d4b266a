"""Finds the models that other programs' records name: by hash, then by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import LORA
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.core.errors import DreamError
from dream.core.weight_digests import read_known_digest
from dream.gallery.readers.record import strip_suffix

_LEAST_DIGITS = 10
"""Of a hash: AUTOMATIC1111's oldest ones, of eight digits, are of a part of the file."""


class ModelLookup:
    """Looks in a registry, whose folders are read once: a list of images names few models."""

    def __init__(self, registry: ModelRegistry | None) -> None:
        """Without a registry nothing is found."""
        self._registry = registry

    def find_model(self, name: str, digest: str) -> str:
        """The name of the model here; empty if there is none. `digest` is the beginning of the
        file's SHA-256, or empty."""
        if self._registry is None:
            return ""
        if len(digest) >= _LEAST_DIGITS:
            same = (own for own, model in self._digests.items() if own.startswith(digest.lower()))
            if full_digest := next(same, ""):
                return self._digests[full_digest]
        return self._models.get(_fold(name), "") if name else ""

    def find_vae(self, name: str) -> str:
        """The name of the VAE here; empty if there is none."""
        return self._vaes.get(_fold(name), "") if self._registry is not None and name else ""

    def find_lora(self, name: str) -> str:
        """The name of the LoRA here; empty if there is none."""
        return self._loras.get(_fold(name), "") if self._registry is not None and name else ""

    @cached_property
    def _loras(self) -> Mapping[str, str]:
        assert self._registry is not None
        with suppress(DreamError, OSError):
            paths = AdapterRegistry.of(self._registry).find(LORA)
            return {_fold(name): name for name in paths}
        return {}

    @cached_property
    def _models(self) -> Mapping[str, str]:
        assert self._registry is not None
        with suppress(DreamError, OSError):
            paths = self._registry.find_paths()
            return {
                key: name
                for name, path in reversed(paths.items())
                for key in (_fold(path.name), _fold(name))
            }
        return {}

    @cached_property
    def _digests(self) -> Mapping[str, str]:
        """The names of models in single files by their SHA-256, of those that were used before."""
        assert self._registry is not None
        with suppress(DreamError, OSError):
            paths = self._registry.find_paths()
            names = {read_known_digest((path,)): name for name, path in paths.items()}
            return {digest: name for digest, name in names.items() if digest}
        return {}

    @cached_property
    def _vaes(self) -> Mapping[str, str]:
        assert self._registry is not None
        with suppress(DreamError, OSError):
            return {_fold(name): name for name in self._registry.list_vaes()}
        return {}


NO_LOOKUP = ModelLookup(None)
"""For what only needs the words of a record."""


def _fold(name: str) -> str:
    return strip_suffix(name).casefold()
