"""What a row of the table of known models says: see `known_models`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A file of a repository, and the folder that it belongs into."""

    repo: str
    """`owner/name`."""
    path: str
    """In the repository."""
    folder: str
    """In a models folder."""
    size: int
    """Bytes, rounded."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """One row: files, or a folder in diffusers layout."""

    name: str
    title: str
    licence: str
    files: tuple[KnownFile, ...] = ()
    hub: str = ""
    """`owner/name` of a folder in diffusers layout."""
    hub_size: int = 0
    """Bytes of that folder, rounded."""
    gated: bool = False
    """Whether its licence has to be accepted at the hub first."""
    part: tuple[str, int] | None = None
    """For a part of models: the key of its kind, and its width or channels of latents."""
    length: int = 0
    """For a CLIP that takes more tokens than usual: how many."""
    space: str = ""
    """For a VAE: its latent space, as in the table of families."""

    @property
    def size(self) -> int:
        """Bytes to download, rounded."""
        return self.hub_size or sum(file.size for file in self.files)
