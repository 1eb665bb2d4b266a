"""Finds the models that other programs' records name: by hash, then by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import HYPERNET, LORA, AdapterKind
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.lora_info import hash_tensors, read_output_name, read_tensors_digest
from dream.core.errors import DreamError
from dream.core.weight_digests import read_known_digest
from dream.gallery.readers.record import strip_suffix

_LEAST_DIGITS = 10
"""Of a hash: AUTOMATIC1111's oldest ones, of eight digits, are of a part of the file."""

_HASHED = 2**28
"""Bytes of LoRAs that are read to find one by its hash; those whose headers say it need not be."""


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

    def find_lora(self, name: str, digest: str = "") -> str:
        """The name of the LoRA here, also by the name that its trainer gave it; empty if there is
        none. `digest` is the beginning of the SHA-256 of its tensors, or empty."""
        if self._registry is None or not name:
            return ""
        if here := self._loras.get(_fold(name), ""):
            return here
        same = (own for own, _ in self._lora_digests.items() if own.startswith(digest))
        if len(digest) >= _LEAST_DIGITS and (full := next(same, "")):
            return self._lora_digests[full]
        return self._trained_loras.get(_fold(name), "")

    def find_hypernet(self, name: str) -> str:
        """The name of the hypernetwork here; empty if there is none."""
        return self._hypernets.get(_fold(name), "") if self._registry is not None and name else ""

    @cached_property
    def _loras(self) -> Mapping[str, str]:
        return {_fold(name): name for name in self._find_adapters(LORA)}

    @cached_property
    def _hypernets(self) -> Mapping[str, str]:
        return {_fold(name): name for name in self._find_adapters(HYPERNET)}

    @cached_property
    def _trained_loras(self) -> Mapping[str, str]:
        """The names of LoRAs by those that their trainers gave them."""
        paths = self._find_adapters(LORA)
        return {_fold(read_output_name(path)): name for name, path in paths.items()}

    @cached_property
    def _lora_digests(self) -> Mapping[str, str]:
        """The names of LoRAs by the SHA-256 of their tensors, as far as their headers say it, and
        as many as can be hashed at once."""
        digests: dict[str, str] = {}
        budget = _HASHED
        for name, path in self._find_adapters(LORA).items():
            with suppress(DreamError, OSError):
                digest = read_tensors_digest(path)
                if not digest and (size := path.stat().st_size) <= budget:
                    budget -= size
                    digest = hash_tensors(path)
                digests.setdefault(digest, name)
        digests.pop("", None)
        return digests

    def _find_adapters(self, kind: AdapterKind) -> Mapping[str, Path]:
        assert self._registry is not None
        with suppress(DreamError, OSError):
            return AdapterRegistry.of(self._registry).find(kind)
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
