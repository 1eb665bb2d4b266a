"""Gives a loaded model the adapters that a recipe names, and takes away all others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dream.core.file_names import get_file_stamp
from dream.core.recipe import Recipe
from dream.engine.adapters.embedding_file import (
    Embedding,
    describe_embedding,
    find_bundled,
    open_embedding,
)
from dream.engine.adapters.embeddings import use_embeddings
from dream.engine.adapters.hypernetworks import (
    Hypernetwork,
    open_hypernetwork,
    use_hypernetworks,
)
from dream.engine.adapters.lora_file import LoraFile, open_lora
from dream.engine.adapters.weight_merge import MergedWeights, WeightedLora, get_key
from dream.engine.interface import FindAdapter
from dream.engine.loading.load_errors import raise_file_errors
from dream.engine.loading.recorded_digests import read_digest, record_digests

if TYPE_CHECKING:
    from dream.engine.loading.pipelines import LoadedModel

OPEN_FILES = 8
"""How many LoRA files stay open, so that a sweep of weights opens each once."""


class Adapters:
    """Opens the files of adapters, and applies them."""

    def __init__(self, find: FindAdapter) -> None:
        """find: raises ModelError."""
        self._find = find
        self._loras: _OpenFiles[LoraFile] = _OpenFiles(open_lora)
        self._embeddings: _OpenFiles[Embedding] = _OpenFiles(open_embedding)
        self._hypernetworks: _OpenFiles[Hypernetwork] = _OpenFiles(open_hypernetwork)

    def open_loras(self, recipe: Recipe) -> tuple[WeightedLora, ...]:
        """The recipe's LoRAs, open, in its order. Raises ModelError."""
        return tuple(
            WeightedLora(
                self._loras.open(lora.name, self._find("lora", lora.name)),
                lora.weight,
                lora.for_text,
            )
            for lora in recipe.lora or ()
        )

    def open_embeddings(self, recipe: Recipe) -> tuple[Embedding, ...]:
        """The embeddings that the recipe's words stand for. Raises ModelError."""
        return tuple(
            self._embeddings.open(name, self._find("embedding", name))
            for name in recipe.embedding or ()
        )

    @contextmanager
    def use(
        self, loaded: LoadedModel, recipe: Recipe, loras: Sequence[WeightedLora]
    ) -> Iterator[dict[str, str]]:
        """What the recipe's adapters change besides weights, undone at the end; yields what the
        image records about all of them. Raises ModelError."""
        embeddings = (*self.open_embeddings(recipe), *find_bundled(loras))
        networks = [
            (self._hypernetworks.open(net.name, self._find("hypernet", net.name)), net.weight)
            for net in recipe.hypernet or ()
        ]
        state, pipe, model = loaded.adapters, loaded.pipe, loaded.info.name
        before = state.text_key
        with use_embeddings(pipe, embeddings, model), use_hypernetworks(pipe, networks, model):
            state.text_key = (*before, *((one.path, one.name, one.stamp) for one in embeddings))
            try:
                yield collect_facts(loras, embeddings, [network for network, _ in networks])
            finally:
                state.text_key = before

    @contextmanager
    def use_embeddings(self, loaded: LoadedModel, recipe: Recipe) -> Iterator[tuple[str, ...]]:
        """The model with the recipe's embeddings, and those in its LoRAs' files, to count tokens;
        yields a line for each that says how many it stands for. Raises ModelError."""
        embeddings = (*self.open_embeddings(recipe), *find_bundled(self.open_loras(recipe)))
        with use_embeddings(loaded.pipe, embeddings, loaded.info.name):
            yield tuple(describe_embedding(embedding) for embedding in embeddings)

    def close(self) -> None:
        """Close all files."""
        self._loras.close()
        self._embeddings.close()
        self._hypernetworks.close()


class _File(Protocol):
    @property
    def stamp(self) -> object: ...


F = TypeVar("F", bound=_File)


class _OpenFiles(Generic[F]):
    """The files of one kind that were opened last; one that has changed is opened again."""

    def __init__(self, open_file: Callable[[str, Path], F]) -> None:
        self._open_file = open_file
        self._files: OrderedDict[tuple[str, Path], F] = OrderedDict()

    def open(self, name: str, path: Path) -> F:
        """The file at that path, which the line calls so. Raises ModelError."""
        file = self._files.pop((name, path), None)
        if file is None or file.stamp != get_file_stamp(path):
            with raise_file_errors(name, path):
                file = self._open_file(name, path)
        self._files[name, path] = file
        while len(self._files) > OPEN_FILES:
            self._files.popitem(last=False)
        return file

    def close(self) -> None:
        """Forget all files."""
        self._files.clear()


def can_merge(state: MergedWeights, loras: tuple[WeightedLora, ...]) -> bool:
    """Whether the model can get these LoRAs; else it has to be loaded again first."""
    return state.is_reversible or state.key == get_key(loras)


def collect_facts(
    loras: Sequence[WeightedLora],
    embeddings: Sequence[Embedding],
    hypernetworks: Sequence[Hypernetwork],
) -> dict[str, str]:
    """What an image records about adapters: for each kind the beginnings of the files' SHA-256, and
    all of each by name."""
    facts: dict[str, str] = {}
    used: dict[str, list[LoraFile | Embedding | Hypernetwork]] = {
        "lora": [lora.file for lora in loras],
        "embedding": [*embeddings],
        "hypernet": [*hypernetworks],
    }
    for kind, files in used.items():
        facts |= record_digests(kind, [(file.name, read_digest(file.digest)) for file in files])
    return facts
