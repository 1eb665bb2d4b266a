"""A small byte-pair vocabulary (Sennrich 2016), in the files that CLIPTokenizer reads.

CLIP works on bytes, written as printable characters, the last one of a word marked `</w>`. All 256
bytes are in the vocabulary, so any Unicode is accepted. Chinese has no spaces: CLIP sees a run of
it as one "word", so every Chinese word is learned twice, within a run and at its end, and the bytes
of one character are merged first, so that no token spans two words.
"""

import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path

from transformers import CLIPTokenizer

from training import vocabulary as words
from training.captions import caption
from training.scene_specs import FULL, sample_spec

END = "</w>"
LENGTH = 77
COMMON = (
    "and the with without of in at by for from to is are no not very low quality blurry ugly "
    "dark bright light sun sky star stars cloud clouds night day morning one two three four "
    "dog bird car girl boy man woman person face portrait photo style art oil painting"
)

Symbols = tuple[str, ...]
Pair = tuple[str, str]


def byte_characters() -> list[str]:
    """GPT-2's table: each of the 256 bytes as a printable character, in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in printable}
    for extra, b in enumerate(b for b in range(256) if b not in table):
        table[b] = chr(256 + extra)
    return [table[b] for b in range(256)]


def split_word(word: str, table: list[str], ends: bool = True) -> Symbols:
    letters = [table[b] for b in word.encode()]
    return tuple([*letters[:-1], letters[-1] + END] if ends else letters)


def learn_merges(counts: Counter[Symbols]) -> tuple[list[Pair], Counter[Symbols]]:
    """Merge the most frequent pair until each word is one symbol."""
    merges: list[Pair] = []
    while True:
        pairs: Counter[Pair] = Counter()
        for word, count in counts.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        if not pairs:
            return merges, counts
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        counts = _merged(counts, best)


def _merged(counts: Counter[Symbols], pair: Pair) -> Counter[Symbols]:
    result: Counter[Symbols] = Counter()
    for word, count in counts.items():
        result[join_pair(word, pair)] += count
    return result


def join_pair(word: Symbols, pair: Pair) -> Symbols:
    joined: list[str] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return tuple(joined)


def chinese_words() -> set[str]:
    """Every run of Chinese characters in the tables of words."""
    found: set[str] = set("的上下在和与有是一个到里前左右面边") | {
        "背景",
        "上的",
        "下的",
        "渐变",
        "天空",
    }
    for name in dir(words):
        if name.endswith("_ZH"):
            found.update(re.findall(r"[\u4e00-\u9fff]+", repr(getattr(words, name))))
    return found


def english_counts(captions: int = 6000, seed: int = 7) -> Counter[str]:
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for _ in range(captions):
        counts.update(re.findall(r"[a-z]+", caption(rng, sample_spec(rng, FULL)).lower()))
    for word in re.findall(r"[a-z]+", " ".join((COMMON, *words.ORNAMENTS_EN))):
        counts[word] += 20
    return counts


def build() -> tuple[dict[str, int], list[Pair]]:
    table = byte_characters()
    chinese = chinese_words()
    single: Counter[Symbols] = Counter()
    for ends in (False, True):
        for letter in sorted(set("".join(chinese)) | set("，：、。")):
            single[split_word(letter, table, ends)] += 1
    merges, _ = learn_merges(single)

    counts: Counter[Symbols] = Counter()
    for word in sorted(chinese):
        for ends in (False, True):
            counts[split_word(word, table, ends)] += 40
    for word, count in english_counts().items():
        counts[split_word(word, table)] += count
    for pair in merges:
        counts = _merged(counts, pair)
    more, _ = learn_merges(counts)
    merges += more

    tokens = [
        *table,
        *(t + END for t in table),
        *(a + b for a, b in merges),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, merges


def write(folder: Path) -> CLIPTokenizer:
    """Write the files and read them back as any user of diffusers does."""
    vocabulary, merges = build()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=LENGTH
    )
    tokenizer.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)
