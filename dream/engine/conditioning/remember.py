"""Keeps what a pipeline encodes itself, so that images of one text encode it once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dream.engine.conditioning.token_weights import WeighedText
from dream.engine.loading.pipelines import LoadedModel


@contextmanager
def remember_encodings(
    pipe: Any, loaded: LoadedModel, weighed: tuple[WeighedText, ...] = ()
) -> Iterator[None]:
    """While the pipeline's `encode_prompt` returns what it returned for the same arguments and
    weights before, bit for bit. Other pipelines, and arguments that are not plain values, are left
    as they are."""
    encode = getattr(pipe, "encode_prompt", None)
    if encode is None:
        yield
        return

    def encode_or_remember(*args: Any, **kwargs: Any) -> Any:
        adapters = getattr(getattr(loaded, "adapters", None), "text_key", ())
        arguments_key = _make_key((args, sorted(kwargs.items())))
        if arguments_key is None:
            return encode(*args, **kwargs)
        key = (type(pipe).__name__, adapters, weighed, arguments_key)
        encoding = loaded.encodings.get(key)
        if encoding is None:
            encoding = encode(*args, **kwargs)
            loaded.encodings.add(key, encoding)
        return _copy(encoding)

    pipe.encode_prompt = encode_or_remember
    try:
        yield
    finally:
        del pipe.encode_prompt


def _make_key(value: Any) -> Any:
    """The value as a key; None for what holds anything but plain values."""
    if value is None or isinstance(value, str | int | float | torch.device | torch.dtype):
        return ("value", value)
    if isinstance(value, list | tuple):
        keys = [_make_key(item) for item in value]
        return None if None in keys else (type(value).__name__, *keys)
    return None


def _copy(value: Any) -> Any:
    """Its tensors copied: a pipeline may write into them."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        return type(value)(map(_copy, value))
    return value
