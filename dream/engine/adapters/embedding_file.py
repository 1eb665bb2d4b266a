"""Reads the vectors of an embedding (textual inversion: Gal et al. 2022, arXiv:2208.01618) from the
files of every trainer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.catalogue.detect import read_header
from dream.catalogue.detect.require import require_safe
from dream.core.bounded_reading import open_regular, parse_json
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp
from dream.core.plain_text import shorten_name
from dream.core.png_chunks import read_texts
from dream.engine.adapters.lora_file import hash_in_background
from dream.engine.adapters.weight_merge import WeightedLora
from dream.engine.loading.checkpoint import open_tensors

_PNG_KEY = "sd-ti-embedding"
"""The text chunk in which the AUTOMATIC1111 web UI keeps an embedding, as base64 of JSON."""

_PARTS = {
    "clip_l": "text_encoder",
    "clip_g": "text_encoder_2",
    "text_encoders_0": "text_encoder",
    "text_encoders_1": "text_encoder_2",
}
"""Names of tensors → the text encoder that they are for. Others are for the one of their width."""

_BUNDLED = re.compile(r"bundle_emb\.(?P<name>[^.]+)\.(?:string_to_param\.)?(?P<rest>.+)")

_MAX_VECTORS = 75
_MAX_WIDTH = 2**16
"""Numbers of a vector; the widest text encoders have 8,192."""
_SHOWN_SIDES = 6
"""Of a shape in a message."""


@dataclass(frozen=True)
class Embedding:
    """An embedding's vectors."""

    name: str
    path: Path
    vectors: Mapping[str, Tensor]
    """(n, width), in float32, by text encoder; "" for the text encoders of that width."""
    stamp: object
    digest: Future[str]
    """SHA-256 of the file."""
    tokens: tuple[str, ...] = ()
    """Triggers besides the name: what the file calls its vectors, if that is `<…>`."""


def open_embedding(name: str, path: Path) -> Embedding:
    """Read a file. Raises ModelError for one that is not an embedding, or would run code."""
    stamp = get_file_stamp(path)
    is_image = path.suffix.lower() in (".png", ".webp")
    tensors = _read_png(path) if is_image else _read_tensors(path)
    try:
        vectors = read_vectors(tensors)
    except ValueError as error:
        raise ModelError(f"{path} is not an embedding: {error}") from error
    tokens = tuple(key for key in tensors if key.startswith("<") and key.endswith(">"))
    return Embedding(name, path, vectors, stamp, hash_in_background(path), tokens)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights, whose header says that they are few and small: some are
    copied when they are opened. Raises ModelError."""
    form = require_safe(path).format
    try:
        for name, (_, shape) in read_header(path).tensors.items():
            _check_shape(name, shape)
    except ValueError as error:
        raise ModelError(f"{path} is not an embedding: {error}") from error
    return dict(open_tensors(path, form).tensors)


def describe_embedding(embedding: Embedding) -> str:
    """How many tokens it takes in a prompt: the most of its vectors for one text encoder."""
    count = max(map(len, embedding.vectors.values()))
    return f"embedding {shorten_name(embedding.name)}: {count} token{'' if count == 1 else 's'}"


def find_bundled(loras: Iterable[WeightedLora]) -> Iterator[Embedding]:
    """The embeddings that OneTrainer put into LoRAs' files, by the names it gave them. Raises
    ModelError."""
    for lora in loras:
        bundles: dict[str, dict[str, Tensor]] = {}
        for key, tensor in lora.file.tensors.items():
            if match := _BUNDLED.fullmatch(key):
                bundles.setdefault(match["name"], {})[match["rest"]] = tensor
        for name, tensors in bundles.items():
            try:
                vectors = read_vectors(tensors)
            except ValueError as error:
                called = shorten_name(name)
                raise ModelError(f"{lora.file.path}: its embedding {called}: {error}") from error
            yield Embedding(name, lora.file.path, vectors, lora.file.stamp, lora.file.digest)


def read_vectors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The vectors by text encoder. Raises ValueError."""
    vectors: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        part = _PARTS.get(name, "")
        _check_shape(name, tuple(tensor.shape))
        if not tensor.is_floating_point() or part in vectors:
            raise _unknown_tensor(name, tuple(tensor.shape))
        vectors[part] = tensor.detach().float().reshape(-1, tensor.shape[-1]).clone()
    if not vectors:
        raise ValueError("it contains no vectors")
    if len({len(rows) for rows in vectors.values()}) > 1:
        raise ValueError("its text encoders have different numbers of vectors")
    return vectors


def _check_shape(name: str, shape: tuple[int, ...]) -> None:
    """Raises ValueError for what is not (n, width), or (width,)."""
    if len(shape) not in (1, 2) or not 0 < shape[-1] <= _MAX_WIDTH:
        raise _unknown_tensor(name, shape)
    count = shape[0] if len(shape) > 1 else 1
    if not 0 < count <= _MAX_VECTORS:
        raise ValueError(f"it has {count} vectors, not 1 to {_MAX_VECTORS}")


def _unknown_tensor(name: str, shape: tuple[int, ...]) -> ValueError:
    sides = ", ".join(map(str, shape[:_SHOWN_SIDES])) + ", …" * (len(shape) > _SHOWN_SIDES)
    return ValueError(f"it contains {shorten_name(name)} of shape ({sides})")


def _read_png(path: Path) -> dict[str, Tensor]:
    """The tensors in an image that the AUTOMATIC1111 web UI made. Raises ModelError."""
    try:
        with open_regular(path) as file:
            text = read_texts(file).texts.get(_PNG_KEY, "")
        if not text:
            raise ModelError(f"{path} is an image without an embedding in its text chunks")
        table = parse_json(base64.b64decode(text))
        params = table["string_to_param"]
        return {f"string_to_param.{key}": _tensor(value) for key, value in params.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, binascii.Error) as error:
        raise ModelError(f"{path}: its embedding cannot be read") from error


def _tensor(value: Any) -> Tensor:
    return torch.tensor(value["TORCHTENSOR"], dtype=torch.float32)
