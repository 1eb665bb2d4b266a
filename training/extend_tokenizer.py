"""Adds words to the vocabulary of a trained model: `python -m training.extend_tokenizer MODEL`

A new noun in pieces (`r ab bi t`) is a longer lesson than one token. The new merges and tokens come
last, so that every caption made of old words keeps its token numbers, and with them its meaning.
"""

import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path

from transformers import CLIPTokenizer

from training import free_captions
from training.arrangements import sample_arrangement
from training.nouns import NOUNS
from training.settings import SETTINGS
from training.tokenizer import (
    LENGTH,
    Pair,
    Symbols,
    byte_characters,
    join_pair,
    learn_merges,
    split_word,
)

CAPTIONS = 6000
RARE = 3  # a word in fewer of the captions stays in pieces
MORE_CHINESE = (
    *("四", "五", "四个", "五个", "一半", "条纹的", "相间", "斑点", "带", "里面", "里有", "中间"),
    *("中间有", "前面", "后面", "旁边", "旁边有", "之间", "之间的", "顶上", "顶上的", "上方有"),
    *("左边有", "花园", "公园", "山丘", "冬天", "雪地", "傍晚", "时", "沙子", "夜里", "城市"),
    *("水面", "紫色天空"),
)
_CHINESE = re.compile(r"[\u4e00-\u9fff]+")


def missing_words(tokenizer: CLIPTokenizer) -> list[str]:
    """Words of captions that are several tokens, the most frequent first; nouns that training
    leaves unexplained are not among them."""
    rng = random.Random(11)
    counts: Counter[str] = Counter()
    for _ in range(CAPTIONS):
        text = free_captions.describe(rng, sample_arrangement(rng))
        counts.update(re.findall(r"[a-z]+", text.lower()))
    unexplained = set(free_captions.UNKNOWN) | set(free_captions.UNKNOWN_ZH)
    english = [word for word, count in counts.most_common() if count >= RARE]
    chinese = [word for noun in NOUNS.values() for word in noun.chinese]
    chinese += [noun.measure for noun in NOUNS.values()]
    chinese += [word for row in SETTINGS.values() for word in row.chinese if len(word) == 2]
    found = dict.fromkeys([*english, *chinese, *MORE_CHINESE])
    return [w for w in found if w not in unexplained and len(tokenizer.tokenize(w)) > 1]


def new_merges(known: list[Pair], words: list[str]) -> list[Pair]:
    """The merges that make each word one token, after those that are known. A Chinese word is
    learned twice, within a run and at its end."""
    table = byte_characters()
    ranks = {pair: rank for rank, pair in enumerate(known)}
    characters: Counter[Symbols] = Counter()
    counts: Counter[Symbols] = Counter()
    for word in words:
        forms = (False, True) if _CHINESE.fullmatch(word) else (True,)
        for ends in forms:
            counts[_merge_known(split_word(word, table, ends), ranks)] += 1
            for letter in word if _CHINESE.fullmatch(word) else "":
                characters[_merge_known(split_word(letter, table, ends), ranks)] += 1
    merges, _ = learn_merges(characters)  # no token may span two characters in part
    for pair in merges:
        counts = Counter({join_pair(word, pair): n for word, n in counts.items()})
    more, _ = learn_merges(counts)
    return merges + more


def _merge_known(symbols: Symbols, ranks: dict[Pair, int]) -> Symbols:
    """Byte-pair encoding: the known merges, the earliest first."""
    while len(symbols) > 1:
        pairs = [p for p in itertools.pairwise(symbols) if p in ranks]
        if not pairs:
            break
        symbols = join_pair(symbols, min(pairs, key=lambda pair: ranks[pair]))
    return symbols


def extend(source: Path, folder: Path) -> int:
    """Read the tokenizer in `source`, write the longer one to `folder`; how many tokens are new."""
    tokenizer = CLIPTokenizer.from_pretrained(source)
    vocabulary = json.loads((source / "vocab.json").read_text("utf-8"))
    lines = (source / "merges.txt").read_text("utf-8").splitlines()
    known = [(a, b) for a, b in (line.split() for line in lines[1:])]
    merges = new_merges(known, missing_words(tokenizer))
    before = len(vocabulary)
    for a, b in merges:
        vocabulary.setdefault(a + b, len(vocabulary))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    added = [f"{a} {b}" for a, b in merges]
    (folder / "merges.txt").write_text("\n".join([*lines, *added]) + "\n", "utf-8")
    CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=LENGTH
    ).save_pretrained(folder)
    return len(vocabulary) - before
