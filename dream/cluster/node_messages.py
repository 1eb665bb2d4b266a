"""What a node tells besides the answers about tasks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeDescription:
    """What a worker's machine is. Sent as plain text and numbers, which every version can read."""

    host: str
    pid: int
    processor: str
    """The GPU, or the CPU."""
    gpu: bool
    cores: int
    versions: tuple[tuple[str, str], ...]
    """Of dream, and of the libraries that pixels depend on, by name."""

    @property
    def kind(self) -> str:
        """What has to be equal for equal pixels. The cores are the threads of a processor."""
        libraries = ", ".join(f"{name} {version}" for name, version in self.versions)
        cores = "" if self.gpu else f"{self.cores} cores, "
        return f"{self.processor}, {cores}{libraries}"


@dataclass(frozen=True)
class NodeState:
    """Sent before the answer that ends a task."""

    loaded: tuple[str, ...]
    """The models in memory, the one used last at the end."""
    memory: int
    """Bytes of main memory of the worker's process."""
