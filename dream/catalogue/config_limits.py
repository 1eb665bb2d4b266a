"""Rejects model folders whose configurations name more layers, classes or time steps than any model
has: diffusers and transformers would build them one by one, until time or memory runs out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

_CONFIGS = (
    "config.json",
    "scheduler_config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
)
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


def refuse_huge_settings(folder: Path) -> None:
    """Check the configurations in a folder and in its components' folders. A folder without any is
    fine. Raises ModelError with the file and the setting."""
    for path in chain.from_iterable(
        (*folder.glob(name), *folder.glob(f"[!.]*/{name}")) for name in _CONFIGS
    ):
        try:
            settings = read_json(path)
        except OSError:  # it is missing or too large: what reads it says so
            continue
        except ValueError as error:
            raise ModelError(f"{path} cannot be read", "copy the model again") from error
        for name, number in _numbers(settings):
            if number > (limit := _limit_of(name)):
                raise ModelError(
                    f"{path}: {name} is more than {limit:,.0f}, which no model has",
                    "copy the model again",
                )


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
