"""CLIP's tokenizer, from the byte pairs that dream includes: no file of the model, no network."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from dream.catalogue.config_limits import refuse_huge_settings
from dream.core.errors import ModelError
from dream.engine.loading.byte_letters import list_byte_letters

VOCAB_SIZE = 49408
"""Tokens: 256 bytes, the same at the end of a word, 48,894 pairs, and two special tokens."""

MAX_TOKENS = 77
"""Tokens that a text encoder takes, including the two special tokens."""

_MERGES = Path(__file__).parent / "vocabulary" / "clip_merges.txt.gz"


def build_clip_tokenizer(pad: str = "<|endoftext|>") -> Any:
    """The tokenizer of CLIP ViT-L, or with `pad` "!" that of OpenCLIP, which pads with token 0.

    The numbering is CLIP's own: Radford et al. 2021, arXiv:2103.00020, simple_tokenizer.py.
    """
    _, _, lines = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").partition("\n")
    halves = lines.split()
    merges = list(zip(halves[::2], halves[1::2], strict=True))
    letters = list_byte_letters()
    words = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *map("".join, merges),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    numbers = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=numbers, merges=merges, pad_token=pad, model_max_length=MAX_TOKENS)


def build_tokenizer_from_metadata(files: Mapping[str, str]) -> Any:
    """A tokenizer from its own files, name → text. Raises ValueError or OSError for broken ones."""
    with tempfile.TemporaryDirectory(prefix="dream-") as folder:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (Path(folder) / name).write_text(files.get(name, "{}"), "utf-8")
        json.loads(files.get("tokenizer.json", ""))
        try:
            refuse_huge_settings(Path(folder))
        except ModelError as error:  # it names a temporary file
            raise ValueError("its settings are those of no model") from error
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
