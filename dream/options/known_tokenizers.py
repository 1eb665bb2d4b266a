"""The tokenizers that `!import_model` downloads for text encoders in single files."""

from __future__ import annotations

from dream.options.known_model import KnownFile


def _tokenizer(kind: str, repo: str, names: tuple[str, ...], size: float) -> tuple[KnownFile, ...]:
    """The files of a tokenizer; the first has nearly all of the size."""
    return tuple(
        KnownFile(
            repo=repo,
            path=name,
            folder=f"tokenizers/{kind}",
            size=round(size * 10**6) if number == 0 else 10_000,
        )
        for number, name in enumerate(names)
    )


_QWEN_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
TOKENIZERS = {
    "qwen3": _tokenizer("qwen3", "Qwen/Qwen3-4B", _QWEN_TOKENIZER_FILES, 16),
    "qwen2.5-vl": _tokenizer(
        "qwen2.5-vl", "Qwen/Qwen2.5-VL-7B-Instruct", _QWEN_TOKENIZER_FILES, 12
    ),
    "t5": _tokenizer("t5", "google-t5/t5-small", ("tokenizer.json", "tokenizer_config.json"), 1.4),
    "umt5": _tokenizer(
        "umt5",
        "fal/AuraFlow-v0.3",
        ("tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"),
        2.3,
    ),
    "gemma2": _tokenizer(
        "gemma2", "unsloth/gemma-2-2b", ("tokenizer.json", "tokenizer_config.json"), 34
    ),
    "mistral3": _tokenizer(
        "mistral3",
        "unsloth/Mistral-Small-3.2-24B-Instruct-2506",
        ("tokenizer.json", "tokenizer_config.json"),
        17,
    ),
    "llama3": _tokenizer(
        "llama3",
        "unsloth/Meta-Llama-3.1-8B-Instruct",
        ("tokenizer.json", "tokenizer_config.json"),
        17,
    ),
}
"""By the key of a kind of text encoders."""
