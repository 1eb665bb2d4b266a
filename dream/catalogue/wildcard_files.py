"""Finds and reads wildcards: the lists of words that `__name__` in a prompt chooses from.

`animals/cats.txt`, a value on each line, is `animals/cats`; in a .yaml or .json file the keys are
the name (`clothes: {hats: [fez, beret]}` is `clothes/hats`), and a .json with a list alone has its
file's. Only regular files below the folders are read, within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dream.catalogue.read_yaml import parse_yaml
from dream.catalogue.suggest import suggest_names
from dream.catalogue.walk_files import walk_files
from dream.core.bounded_reading import explain_error, parse_json, read_bounded
from dream.core.file_names import get_file_stamp
from dream.prompt import TemplateError

if TYPE_CHECKING:
    from dream.catalogue.registry import ModelRegistry

FOLDER = "wildcards"
_PLACES = (
    FOLDER,
    f"extensions/sd-dynamic-prompts/{FOLDER}",
    f"../extensions/sd-dynamic-prompts/{FOLDER}",
)
"""In a models folder; the others are those of the AUTOMATIC1111 web UI."""
_SUFFIXES = (".txt", ".yaml", ".yml", ".json")
_MAX_BYTES = 1 << 22
"""Of a file; collections of fifty thousand lines have two millions."""
_MAX_FILES = 5_000
_MAX_DEPTH = 8
_MAX_VALUE = 4096
"""Characters of a value."""
_MAX_VALUES = 100_000
"""Values that a pattern can name."""
_MAX_STARS = 6
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_COMMENT = re.compile(r"\A\s*#.*|\s#\s.*")
"""`#ff0000` behind a word is a colour."""

Values = tuple[str, ...]


@dataclass(frozen=True)
class WildcardFiles:
    """The wildcards of some folders; those of the first win. They are read once by each of these,
    so a new one sees new files."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, registry: ModelRegistry) -> WildcardFiles:
        """Those of a model registry's folders."""
        own = (registry.wildcards_dir,) if registry.wildcards_dir else ()
        return cls(
            (*own, *(models / place for models in registry.models_dirs for place in _PLACES))
        )

    @cached_property
    def _read(self) -> tuple[Mapping[str, Values | Path], tuple[str, ...]]:
        """Values by name, for a text file its path, and messages about files that cannot be
        read."""
        found: dict[str, Values | Path] = {}
        problems: list[str] = []
        for folder in self.folders:
            for path in _files(folder):
                if path.suffix.lower() == ".txt":
                    name = path.relative_to(folder).with_suffix("").as_posix()
                    found.setdefault(name, path)
                    continue
                try:
                    named = _read_structured(path, get_file_stamp(path))
                except (OSError, ValueError) as error:
                    problems.append(f"{path}: {explain_error(error)}")
                    continue
                for name, values in named.items():
                    found.setdefault(name, values)
        return MappingProxyType(dict(sorted(found.items()))), tuple(problems)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self._read[0])

    @property
    def problems(self) -> tuple[str, ...]:
        """A message for each file that cannot be read."""
        return self._read[1]

    def get(self, name: str) -> Values:
        """The values of one wildcard, without duplicates. Raises TemplateError."""
        values = self._read[0][name]
        if isinstance(values, tuple):
            return values
        try:
            return _read_text(values, get_file_stamp(values))
        except (OSError, ValueError) as error:
            raise TemplateError(f"{values} cannot be read: {explain_error(error)}") from None

    def find(self, pattern: str) -> Values:
        """The values of all wildcards that a pattern names: `*` stands for a part of a name, `**`
        also for folders. Raises TemplateError, with similar names, if there are none."""
        if pattern.count("*") > _MAX_STARS:
            raise TemplateError(f"__{pattern[:40]}__ has more than {_MAX_STARS} *")
        names = [pattern] if pattern in self._read[0] else self._match(pattern)
        values = dict.fromkeys(value for name in names for value in self.get(name))
        if len(values) > _MAX_VALUES:
            raise TemplateError(f"__{pattern}__ has more than {_MAX_VALUES:,} values")
        if values:
            return tuple(values)
        if names:
            raise TemplateError(
                f"the wildcard {names[0]} has no values", 0, "add lines to its file"
            )
        hint = suggest_names(pattern, self.names) or f"put {pattern}.txt into {self.folders[0]}/"
        broken = f"; {self.problems[0]}" if self.problems else ""
        raise TemplateError(f"there is no wildcard {pattern}", 0, f"{hint}{broken}")

    def _match(self, pattern: str) -> list[str]:
        parts = re.split(r"(\*\*/?|\*|\?)", pattern.strip("/"))
        signs = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
        wanted = re.compile("".join(signs.get(part) or re.escape(part) for part in parts), re.I)
        return [name for name in self.names if wanted.fullmatch(name)]


def _files(folder: Path) -> list[Path]:
    """The files of wildcards in a folder and below it, in order, without hidden ones and without
    links that lead out of it."""
    try:
        root = folder.resolve()
        files: list[Path] = []
        for path in walk_files(folder, _MAX_DEPTH, through_links=False):
            if path.suffix.lower() in _SUFFIXES and path.resolve().is_relative_to(root):
                files.append(path)
            if len(files) == _MAX_FILES:
                break
    except (OSError, RuntimeError):
        return []
    return files


@lru_cache(64)
def _read_text(path: Path, stamp: object) -> Values:
    """The values of a text file: its lines, without comments. Raises OSError, ValueError."""
    lines = read_bounded(path, _MAX_BYTES).decode("utf-8-sig", "replace").splitlines()
    return _clean(_COMMENT.sub("", line) for line in lines)


@lru_cache(64)
def _read_structured(path: Path, stamp: object) -> Mapping[str, Values]:
    """The lists of a file by their keys. Raises OSError, ValueError."""
    data = read_bounded(path, _MAX_BYTES)
    is_json = path.suffix.lower() == ".json"
    value = parse_json(data.decode("utf-8-sig")) if is_json else parse_yaml(data)
    if isinstance(value, list):
        value = {path.stem: value}
    if not isinstance(value, dict):
        raise ValueError("it has no lists of words")
    return MappingProxyType(dict(_lists(value, "", _MAX_DEPTH)))


def _lists(value: dict[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Values]]:
    for key, inside in value.items():
        name = f"{prefix}{key}"
        if isinstance(inside, dict):
            if depth:
                yield from _lists(inside, f"{name}/", depth - 1)
            continue
        values = inside if isinstance(inside, list) else [inside]
        words = (str(one) for one in values if isinstance(one, str | int | float))
        yield name, _clean(words)


def _clean(values: Iterator[str]) -> Values:
    """Values on one line each, without empty ones and duplicates. Raises ValueError."""
    cleaned = dict.fromkeys(filter(None, (_SPACES.sub(" ", value).strip() for value in values)))
    if any(len(value) > _MAX_VALUE for value in cleaned):
        raise ValueError(f"it has a value of more than {_MAX_VALUE:,} characters")
    return tuple(cleaned)
