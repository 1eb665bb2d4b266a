"""Finds what completes a model in several files: text encoders, a VAE and tokenizers.

They are found by kind, in the folders where ComfyUI and others keep them. Of several candidates,
one that the user names is used; else the family's usual file, then the one of highest precision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dream.catalogue.detect import DetectedModel, detect
from dream.catalogue.detect.pieces import VAE, Piece, Wanted
from dream.catalogue.layouts import TEXT_ENCODERS as TEXT_ENCODER_FOLDERS
from dream.catalogue.layouts import TOKENIZERS, list_folders
from dream.catalogue.layouts import VAES as VAE_FOLDERS
from dream.catalogue.model_info import ModelInfo, PartFile
from dream.catalogue.vaes import VAE_FILES
from dream.catalogue.vision_towers import SEEING_KIND, can_see, find_tower, needs_vision
from dream.catalogue.walk_files import DEPTH, list_matches, walk_files
from dream.core.errors import ModelError
from dream.options.family import Family, TextEncoderKind
from dream.options.family_table import get_family
from dream.options.known_parts import find_part_download
from dream.options.part_table import TEXT_ENCODERS

WEIGHT_FILES = (*VAE_FILES, ".gguf")
_VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model")
_BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "float8": 8}
_MAX_FILES = 500
"""Files that are looked at for one model."""


@dataclass(frozen=True)
class Companions:
    """What completes a model, and what it lacks."""

    parts: tuple[PartFile, ...] = ()
    missing: tuple[str, ...] = ()
    """Each with where to get it."""


def with_companions(info: ModelInfo, dirs: Sequence[Path]) -> ModelInfo:
    """A single-file model with the files that complete it and what it lacks, if it is in several.

    Raises ModelError for a file that cannot be read.
    """
    if not (detected := detect(info.path)).wanted:
        return info
    sees = needs_vision(info)
    companions = find_companions(detected, dirs, info.text_encoder, sees=sees)
    return replace(info, parts=companions.parts, missing=companions.missing)


def find_companions(
    detected: DetectedModel, dirs: Sequence[Path], text_encoder: str = "", *, sees: bool = False
) -> Companions:
    """What completes the model in a file: its own pieces first, then other files; `text_encoder` is
    the name or path of the file to use where there are several; `sees` asks for its vision, too."""
    family = get_family(detected.family)
    parts: list[PartFile] = []
    missing: list[str] = []
    own = list(detected.pieces[1:])
    for wanted in detected.wanted:
        chosen = _take_own(own, wanted, detected.path) or _choose(
            family, wanted, dirs, detected.path, text_encoder
        )
        if chosen is not None:
            parts.append(chosen)
        elif not wanted.optional:
            missing.append(_describe_missing(family, wanted))
    for wanted, encoder in [(w, p) for w in detected.wanted for p in parts if p.part == w.part]:
        if sees and encoder.kind == SEEING_KIND and not can_see(encoder):
            found = find_tower(encoder, wanted.width, _list_encoder_files(dirs))
            if isinstance(found, str):
                missing.append(found)
            else:
                parts.append(found)
    for need in family.encoders:
        kind = get_text_encoder_kind(need.kind)
        reader = next((part for part in parts if part.part == need.part), None)
        if kind.tokenizer and reader is not None:
            name = need.part.replace("text_encoder", "tokenizer")
            if tokenizer := _find_tokenizer_of(name, kind, reader, dirs):
                parts.append(tokenizer)
            else:
                missing.append(_describe_missing_tokenizer(kind))
    return Companions(tuple(parts), tuple(missing))


def _find_tokenizer_of(
    name: str, kind: TextEncoderKind, encoder: PartFile, dirs: Sequence[Path]
) -> PartFile | None:
    """A text encoder's tokenizer, in its own file or in a folder, as the part of that name."""
    if kind.tokenizer_tensor:
        pieces = detect(encoder.path).pieces
        tensor = next((p.tokenizer for p in pieces if p.prefix == encoder.prefix), "")
        if tensor:
            return PartFile(part=name, path=encoder.path, prefix=tensor, kind=kind.key)
    folder = find_tokenizer(kind, dirs)
    return None if folder is None else PartFile(part=name, path=folder, kind=kind.key)


def get_text_encoder_kind(key: str) -> TextEncoderKind:
    """The row of the table of text encoders."""
    return next(row for row in TEXT_ENCODERS if row.key == key)


def find_tokenizer(kind: TextEncoderKind, dirs: Sequence[Path]) -> Path | None:
    """The folder of a tokenizer: its own, or that of a kind that makes the same tokens."""
    found = _find_own_tokenizer(kind, dirs)
    if found is None and kind.tokenizer_of:
        return _find_own_tokenizer(get_text_encoder_kind(kind.tokenizer_of), dirs)
    return found


def _find_own_tokenizer(kind: TextEncoderKind, dirs: Sequence[Path]) -> Path | None:
    """`tokenizers/KIND` in a models folder, the tokenizer of its usual repository in the hub's
    cache, or of a folder of that name."""
    owner, _, name = kind.tokenizer.partition("/")
    for folder in list_folders(TOKENIZERS, dirs):
        if _has_vocabulary(folder / kind.key):
            return folder / kind.key
    for models in dirs:
        for hub in ("", "hub"):
            snapshots = models / hub / f"models--{owner}--{name}" / "snapshots"
            for snapshot in list_matches(snapshots, "*"):
                for place in (snapshot / "tokenizer", snapshot):
                    if _has_vocabulary(place):
                        return place
        if _has_vocabulary(models / name / "tokenizer"):
            return models / name / "tokenizer"
    return None


def _has_vocabulary(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _VOCABULARIES)


def _take_own(own: list[Piece], wanted: Wanted, path: Path) -> PartFile | None:
    """A piece of the model's own file, which is then used."""
    for piece in own:
        if wanted.is_met_by(piece):
            own.remove(piece)
            return PartFile(part=wanted.part, path=path, prefix=piece.prefix, kind=piece.kind)
    return None


def _choose(
    family: Family, wanted: Wanted, dirs: Sequence[Path], model: Path, named: str
) -> PartFile | None:
    candidates = [
        (file, detected, piece)
        for file, detected in _list_files(wanted, dirs, named)
        for piece in detected.pieces
        if wanted.is_met_by(piece)
    ]
    if not candidates:
        return None
    file, _, piece = min(candidates, key=lambda one: _rank(family, wanted, model, named, *one))
    return PartFile(part=wanted.part, path=file, prefix=piece.prefix, kind=piece.kind)


def _rank(
    family: Family,
    wanted: Wanted,
    model: Path,
    named: str,
    file: Path,
    detected: DetectedModel,
    piece: Piece,
) -> tuple[object, ...]:
    """The lowest is used."""
    usual = bool(wanted.role == VAE and re.search(family.vae_names, file.stem.lower()))
    return (
        not (wanted.role != VAE and is_named(file, named)),
        not usual,
        piece.length,  # a CLIP of more tokens than needed was trained for another family
        file.parents[1] not in model.parents,  # beside the model, in the same program's folder
        -_BITS.get(detected.precision, 0),
        file.name,
    )


def is_named(file: Path, named: str) -> bool:
    """Whether a name or path means this file."""
    if not named or named in (file.stem, file.name, str(file)):
        return bool(named)
    with suppress(OSError, RuntimeError, ValueError):  # not a valid path
        return Path(named).expanduser().absolute() == file
    return False


def _list_files(
    wanted: Wanted, dirs: Sequence[Path], named: str
) -> Iterator[tuple[Path, DetectedModel]]:
    """The weight files in the folders for such parts, and one that is named by its path."""
    kinds = (VAE_FOLDERS,) if wanted.role == VAE else (TEXT_ENCODER_FOLDERS,)
    folders = (folder for kind in kinds for folder in list_folders(kind, dirs))
    files = [file for folder in folders for file in list_weight_files(folder)]
    if named and wanted.role != VAE and (path := Path(named).expanduser()).is_file():
        files.append(path.absolute())
    for file in files[:_MAX_FILES]:
        try:
            yield file, detect(file)
        except ModelError:  # torn, hostile or of another kind: `!models` says so
            continue


def _list_encoder_files(dirs: Sequence[Path]) -> list[Path]:
    folders = list_folders(TEXT_ENCODER_FOLDERS, dirs)
    return [file for folder in folders for file in list_weight_files(folder)][:_MAX_FILES]


def list_weight_files(folder: Path) -> Iterable[Path]:
    """The weight files in a folder and those in it, at any depth, by name."""
    files = walk_files(folder, DEPTH, through_links=False)
    return sorted(path for path in files if path.suffix.lower() in WEIGHT_FILES)


def describe_encoder(wanted: Wanted) -> str:
    """A text encoder with its width, as “Qwen3, 2,560 wide”; without it if the denoiser's shapes do
    not tell."""
    least = f", of at least {wanted.length} tokens" if wanted.length else ""
    wide = f", {wanted.width:,} wide" if wanted.width else ""
    return f"{get_text_encoder_kind(wanted.kind).name}{wide}{least}"


def _describe_missing(family: Family, wanted: Wanted) -> str:
    if wanted.role == VAE:
        what = f"its VAE ({wanted.kind}, {wanted.width} channels)"
    else:
        what = f"its text encoder ({describe_encoder(wanted)})"
    space = family.space if wanted.role == VAE else ""
    known = find_part_download(wanted.kind, wanted.width, length=wanted.length, space=space)
    if known is None:
        folder = "vae/" if wanted.role == VAE else "text_encoders/"
        return f"{what}: put it into {folder} in a models folder"
    return f"{what}: !import_model {known.name} ({known.size / 1e9:.1f} GB)"


def _describe_missing_tokenizer(kind: TextEncoderKind) -> str:
    kind = get_text_encoder_kind(kind.tokenizer_of) if kind.tokenizer_of else kind
    size = kind.tokenizer_bytes / 1e6
    return (
        f"the tokenizer of {kind.name}: !import_model tokenizer-{kind.key}"
        f" ({kind.tokenizer}, {size:.0f} MB)"
    )
