"""AdapterRegistry: finds LoRAs, embeddings and hypernetworks by name. Every call reads the disk, so
a new file is found at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA, AdapterKind, find_adapters
from dream.catalogue.lora_info import LoraInfo, read_lora_info, read_output_name
from dream.catalogue.suggest import suggest_names
from dream.core.errors import ModelError

if TYPE_CHECKING:
    from dream.catalogue.registry import ModelRegistry


@dataclass(frozen=True)
class AdapterDirs:
    """Folders of adapters besides those in the models folders, searched first."""

    lora: tuple[Path, ...] = ()
    embedding: tuple[Path, ...] = ()
    hypernet: tuple[Path, ...] = ()

    def of(self, kind: AdapterKind) -> tuple[Path, ...]:
        """The folders of one kind."""
        return {LORA: self.lora, EMBEDDING: self.embedding, HYPERNET: self.hypernet}[kind]


NO_ADAPTER_DIRS = AdapterDirs()


@dataclass(frozen=True)
class AdapterRegistry:
    """Finds the files of adapters."""

    models_dirs: Sequence[Path]
    dirs: AdapterDirs = NO_ADAPTER_DIRS

    @classmethod
    def of(cls, registry: ModelRegistry) -> AdapterRegistry:
        """For the folders of a model registry."""
        return cls(registry.models_dirs, registry.adapter_dirs)

    def find(self, kind: AdapterKind) -> dict[str, Path]:
        """The files of one kind, by name, sorted."""
        paths = find_adapters(kind, self.models_dirs, self.dirs.of(kind))
        return dict(sorted(paths.items(), key=lambda item: item[0].casefold()))

    def get(self, kind: AdapterKind, name: str) -> Path:
        """The file of that name, or at that path. For a LoRA, the name that its trainer gave it
        works too, as it does in the AUTOMATIC1111 web UI. Raises ModelError with similar names."""
        paths = self.find(kind)
        if name in paths:
            return paths[name]
        stem = (
            Path(name).with_suffix("").name if Path(name).suffix.lower() in kind.suffixes else name
        )
        for candidate, path in paths.items():
            if candidate.casefold() in (name.casefold(), stem.casefold()):
                return path
        if (outside := _existing_file(name)) is not None:
            return outside
        if kind is LORA:
            for path in paths.values():
                if read_output_name(path) == name:
                    return path
        where = ", ".join(map(str, (*self.dirs.of(kind), *self.models_dirs)))
        raise ModelError(
            f'there is no {kind.called} "{name}" in {where}',
            suggest_names(stem, paths) or f"put its file into {kind.places[0]}/ in a models folder",
        )

    def get_lora(self, name: str) -> LoraInfo:
        """What is known about a LoRA. Raises ModelError."""
        path = self.get(LORA, name)
        info = read_lora_info(name, path)
        if not info.is_lora:
            from dream.catalogue.detect import detect
            from dream.catalogue.detect.model_kinds import describe_kind, get_usage_hint

            kind = detect(path).kind
            raise ModelError(f"{path} is {describe_kind(kind)}, not a LoRA", get_usage_hint(kind))
        return info

    def list_loras(self) -> Iterator[LoraInfo | ModelError]:
        """Every LoRA, sorted by name; an error for a file that cannot be read."""
        for name, path in self.find(LORA).items():
            try:
                yield read_lora_info(name, path)
            except ModelError as error:
                yield error


def _existing_file(name: str) -> Path | None:
    try:
        path = Path(name).expanduser().absolute()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None
