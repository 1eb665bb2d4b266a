"""Rejects model folders whose configurations name more layers, classes, time steps or tokens than
any model has: diffusers and transformers would build them one by one, until time or memory runs
out."""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from dream.catalogue.code_check import refuse_irregular
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

_ADDED = "added_tokens.json"
_CONFIGS = (
    "config.json",
    "scheduler_config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    _ADDED,
)
_LARGEST = 4 << 20
"""Maximum bytes of each; Gemma 3's tokenizer_config.json, with 6,242 tokens, has a million."""
_MOST_TOKENS = 20_000
"""Tokens beside the vocabulary; a tokenizer takes seconds to add more, one by one."""
_LIMITS = (
    (re.compile(r"sample_size|image_size|patch|axes|pos_embed|rel_pos"), 4_096),
    (re.compile(r"channel|size|dim|width|vocab|length|pre_seq|position_embeddings"), 1 << 25),
    (re.compile(r"layer|block|depth|stage|repeat"), 1_000),
    (re.compile(r"expert"), 100_000),
    (re.compile(r"label|steps|special_tokens|frames"), 1_000_000),
)
"""Words of a setting's name, and the largest number that it may have. The deepest models have about
a hundred layers; the first row whose words are in the name counts."""
_UNLIMITED = re.compile(r"model_max_length|max_length|_ids?$|theta|_factor$")
"""Names of settings that nothing is built from; a tokenizer without a limit has 10³⁰."""


def check_model_folder(folder: Path) -> None:
    """Check a folder of weights before a library opens it: see `refuse_irregular` and
    `refuse_huge_settings`. Raises ModelError."""
    refuse_irregular(folder)
    refuse_huge_settings(folder)


def refuse_huge_settings(folder: Path) -> None:
    """Check the configurations in a folder and in its components' folders. A folder without any is
    fine. Raises ModelError with the file and the setting."""
    for path in chain.from_iterable(
        (*folder.glob(name), *folder.glob(f"[!.]*/{name}")) for name in _CONFIGS
    ):
        try:
            settings = read_json(path, _LARGEST)
        except OSError as error:
            if error.errno != errno.EFBIG:  # it is missing: what reads it says so
                continue
            raise ModelError(
                f"{path} is larger than {_LARGEST >> 20} MiB, as no model's is",
                "copy the model again",
            ) from error
        except ValueError as error:
            raise ModelError(f"{path} cannot be read", "copy the model again") from error
        if _count_added(path.name, settings) > _MOST_TOKENS:
            raise ModelError(
                f"{path} adds more than {_MOST_TOKENS:,} tokens, which no model does",
                "copy the model again",
            )
        for name, number in _numbers(settings):
            if number > (limit := _limit_of(name)):
                raise ModelError(
                    f"{path}: {name} is more than {limit:,.0f}, which no model has",
                    "copy the model again",
                )


def _count_added(file: str, settings: object) -> int:
    """How many tokens a configuration adds to the vocabulary of a tokenizer."""
    if not isinstance(settings, dict):
        return 0
    lists = ("added_tokens_decoder", "additional_special_tokens", "extra_special_tokens")
    added = [settings] if file == _ADDED else [settings.get(name) for name in lists]
    return max(len(tokens) if isinstance(tokens, dict | list) else 0 for tokens in added)


def _numbers(settings: object, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers, each with the name of its setting, also in lists and in nested settings."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _numbers(value, str(key))
    elif isinstance(settings, list):
        for value in settings:
            yield from _numbers(value, name)
    elif isinstance(settings, int | float) and not isinstance(settings, bool):
        yield name, settings


def _limit_of(name: str) -> float:
    """The largest number that a setting of this name may have."""
    if _UNLIMITED.search(name):
        return math.inf
    return next((limit for words, limit in _LIMITS if words.search(name)), math.inf)
