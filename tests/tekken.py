"""A small tekken.json, as Mistral writes its vocabularies and ComfyUI keeps one in its files."""

from __future__ import annotations

import json
from base64 import b64encode

_MARKS = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
_MORE = ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<pad>")
_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_WORDS = (b"re", b"red", b" c", b" ci", b"rc", b"le", b"cle", b" circle", b"unused")
"""Made of pairs; the last is beyond the vocabulary's size."""


def make_tekken() -> bytes:
    words = [*(bytes([byte]) for byte in range(256)), *_WORDS]
    marks = (*_MARKS, *_MORE)
    table = {
        "config": {
            "pattern": _PATTERN,
            "num_vocab_tokens": len(words),
            "default_vocab_size": 20 + len(words) - 1,
            "default_num_special_tokens": 20,
            "version": "v7",
        },
        "vocab": [
            {"rank": rank, "token_bytes": b64encode(word).decode(), "token_str": None}
            for rank, word in enumerate(words)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": mark, "is_control": True} for rank, mark in enumerate(marks)
        ],
    }
    return json.dumps(table).encode()
