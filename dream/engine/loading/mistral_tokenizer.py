"""The tokenizer of Mistral Small 3 as FLUX.2 dev uses it: from the bytes of a tekken.json, which
ComfyUI's files of the text encoder contain, or from a tokenizer.json.

Numbering and byte pairs are those of Mistral's own `mistral_common` (tokenizers/tekken.py); the
libraries' converters take other arguments in each of their versions.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from dream.core.bounded_reading import parse_json
from dream.engine.loading.byte_letters import map_bytes_to_letters

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message.content %}"
    "{% if message.role == 'system' %}[SYSTEM_PROMPT]{{ part.text }}[/SYSTEM_PROMPT]"
    "{% else %}[INST]{{ part.text }}[/INST]{% endif %}{% endfor %}{% endfor %}"
)
"""Mistral's own, for one system message and one of the user, of text only."""

_MOST_BYTES = 1 << 26
"""Of a tekken.json; Mistral's has 19 MB."""
_MARKS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
}


def read_mistral_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder with a tokenizer.json. Raises OSError and ValueError."""
    try:
        return _with_template(Tokenizer.from_file(str(folder / "tokenizer.json")))
    except Exception as error:  # the library raises nothing more precise
        raise ValueError(f"{folder} has no tokenizer.json that can be read") from error


def build_mistral_tokenizer(tekken: bytes) -> Any:
    """The tokenizer of a tekken.json. Raises ValueError, LookupError and TypeError."""
    if len(tekken) > _MOST_BYTES:
        raise ValueError(f"its tokenizer has {len(tekken):,} bytes")
    table = parse_json(tekken)
    config = table["config"]
    rows = sorted(table["special_tokens"], key=lambda row: int(row["rank"]))
    marks = [str(row["token_str"]) for row in rows]
    count = int(config.get("default_num_special_tokens") or len(marks))
    marks += [f"<SPECIAL_{number}>" for number in range(len(marks), count)]
    words = table["vocab"][: int(config["default_vocab_size"]) - count]
    ranks = {b64decode(row["token_bytes"]): rank for rank, row in enumerate(words)}
    letters = map_bytes_to_letters()
    named = {word: "".join(map(letters.__getitem__, word)) for word in ranks}
    numbers = {named[word]: rank + count for word, rank in ranks.items()}
    numbers |= {mark: number for number, mark in enumerate(marks)}
    pairs = [(named[first], named[last]) for first, last in _list_pairs(ranks)]
    model = BPE(numbers, pairs, fuse_unk=False, ignore_merges=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(str(config["pattern"])), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    return _with_template(tokenizer)


def _list_pairs(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The pairs of words that make another, in the order of what they make."""
    pairs = []
    for word, rank in ranks.items():
        halves = ((word[:at], word[at:]) for at in range(1, len(word)))
        known = [
            (rank, ranks[one], ranks[two]) for one, two in halves if {one, two} <= ranks.keys()
        ]
        pairs += sorted(known)
    words = list(ranks)
    return [(words[one], words[two]) for _, one, two in sorted(pairs)]


def _with_template(tokenizer: Tokenizer) -> Any:
    """Padded on the left, as FLUX.2 dev was trained."""
    tokenizer.post_processor = None  # the template has the first mark
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="left", chat_template=CHAT_TEMPLATE, **_MARKS
    )
