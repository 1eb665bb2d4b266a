"""LoraInfo: what a LoRA's header, and the files that other tools keep beside it, say about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.catalogue.detect import detect, read_header
from dream.catalogue.detect.lora_family import detect_lora_family, find_rank
from dream.core.bounded_reading import open_regular, parse_json, read_json
from dream.core.errors import ModelError
from dream.core.plain_text import remove_controls
from dream.options.family_table import get_family

_MAX_TRIGGERS = 5
_MAX_TRIGGER_LENGTH = 60
_LARGEST_OFFSET = 2**62 - 1
"""Of a damaged file's header, so that it is no error of another kind."""


@dataclass(frozen=True, kw_only=True)
class LoraInfo:
    """A LoRA on disk."""

    name: str
    """Its name in `--lora` and in the log."""
    path: Path
    family: str = ""
    """See `detect.lora_family`; empty if unknown."""
    rank: int = 0
    """Of most of its layers; 0 if it has none."""
    triggers: tuple[str, ...] = ()
    """Words that it was trained on, the most frequent first."""
    output_name: str = ""
    """The name that its trainer gave it (`ss_output_name`)."""
    is_lora: bool = True
    """False for a file of another kind."""


def read_lora_info(name: str, path: Path) -> LoraInfo:
    """Read a LoRA's header and the files beside it. Raises ModelError for a file that cannot be
    read."""
    header = read_header(path)
    return LoraInfo(
        name=name,
        path=path,
        family=detect_lora_family(header),
        rank=find_rank(header.tensors),
        triggers=tuple(_triggers(path, header.metadata)),
        output_name=header.metadata.get("ss_output_name", ""),
        is_lora=detect(path).kind in ("lora", "unknown", "unet"),
    )


def fits(info: LoraInfo, family: str) -> bool:
    """Whether a LoRA may be for models of a family. Unknown ones, and those for models of family
    “other”, may."""
    return info.family in ("", family, get_family(family).loras) or family == "other"


def read_output_name(path: Path) -> str:
    """The name that a LoRA's trainer gave it; empty if the header has none or cannot be read."""
    try:
        return read_header(path).metadata.get("ss_output_name", "")
    except ModelError:
        return ""


def read_tensors_digest(path: Path) -> str:
    """The SHA-256 of a LoRA's tensors, 64 hex digits, as its trainer wrote it; empty if the header
    does not say it. Raises ModelError."""
    digest = read_header(path).metadata.get("sshs_model_hash", "").casefold()
    return digest if re.fullmatch(r"[0-9a-f]{64}", digest) else ""


def hash_tensors(path: Path) -> str:
    """The hash by which AUTOMATIC1111 names a LoRA: the SHA-256 of a safetensors file without its
    header, or of all of another file; 64 hex digits. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        if path.suffix.lower() == ".safetensors":
            file.seek(8 + (int.from_bytes(file.read(8), "little") & _LARGEST_OFFSET))
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _triggers(path: Path, metadata: Mapping[str, str]) -> Iterator[str]:
    """From the notes of A1111's cards or of Civitai's helper, else modelspec, else the captions."""
    seen: set[str] = set()
    for words in _trigger_texts(path, metadata):
        for word in words:
            clean = remove_controls(" ".join(word.split())).strip(" ,")[:_MAX_TRIGGER_LENGTH]
            if clean and clean not in seen and len(seen) < _MAX_TRIGGERS:
                seen.add(clean)
                yield clean
        if seen:
            return


def _trigger_texts(path: Path, metadata: Mapping[str, str]) -> Iterator[list[str]]:
    notes = _read_beside(path.with_suffix(".json"))
    yield _split(notes.get("activation text"))
    civitai = _read_beside(path.with_suffix(".civitai.info"))
    trained = civitai.get("trainedWords")
    yield (
        [word for item in trained if isinstance(item, str) for word in _split(item)]
        if isinstance(trained, list)
        else []
    )
    yield _split(metadata.get("modelspec.trigger_phrase"))
    yield _frequent_tags(metadata.get("ss_tag_frequency", ""))


def _split(text: object) -> list[str]:
    return text.split(",") if isinstance(text, str) else []


def _read_beside(path: Path) -> dict[str, Any]:
    try:
        table = read_json(path)
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _frequent_tags(text: str) -> list[str]:
    """The tags that at least half as many captions have as the most frequent one."""
    try:
        table = parse_json(text) if text else {}
    except ValueError:
        return []
    counts: dict[str, int] = {}
    for tags in table.values() if isinstance(table, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int):
                counts[tag] = counts.get(tag, 0) + count
    most = max(counts.values(), default=0)
    ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
    return [tag for tag in ranked if 2 * counts[tag] >= most]
