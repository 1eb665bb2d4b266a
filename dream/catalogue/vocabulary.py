"""Finds the words of a prompt that a model was not trained on.

A model that was trained on few words lists them in its card.toml: `[knows]`, whose keys are groups
and whose values are lists of words or phrases, in any language. The prompts of a model without
such a list are not checked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from dream.catalogue.models_toml import Complain

Vocabulary = tuple[tuple[str, tuple[str, ...]], ...]
"""Groups in the order of the card.toml: name, and words or phrases."""

_FUNCTION_WORDS = frozenset(
    word
    for row in (
        "a an the this that these those some any each every all both no not of in on at by to",
        "from into onto upon over under above below between beside behind with without within",
        "through across around about against along near next off out up down as for and or but nor",
        "so yet than then while there here where when which who whose what it its is are was were",
        "be been being am has have had do does did one very other another i me my you your he his",
        "she her we our they their them him us s t",
    )
    for word in row.split()
)
"""English function words, which are never reported."""

_FUNCTION_HAN = frozenset(
    "的地得了着过在是有和与或及跟从到向于对把被给让也都就还很这那此其之里中内外"
    "上下前后旁边间带一个只条座棵朵颗艘张幅片位辆架列顶盏枚把本块些它他她我你们"
)
"""The same in Chinese, with the most common measure words."""

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_WORD = re.compile(r"[^\W\d_]+")


def read_vocabulary(table: object, where: str, complain: Complain) -> Vocabulary:
    """Read the `[knows]` table of a card.toml. A group that is not a list of words is reported and
    ignored."""
    if not isinstance(table, dict):
        complain(f"{where}: knows is not a table; write [knows] and GROUP = [WORDS]")
        return ()
    groups: list[tuple[str, tuple[str, ...]]] = []
    for group, words in table.items():
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            groups.append((group, tuple(words)))
        else:
            complain(f"{where}: [knows] {group} is not a list of words")
    return tuple(groups)


def unknown_words(vocabulary: Vocabulary, prompt: str) -> tuple[str, ...]:
    """The words of a prompt that are not in the vocabulary, in lower case, each once, in order;
    empty for an empty vocabulary. Numbers, punctuation and function words are never included."""
    if not vocabulary:
        return ()
    words, phrases, longest = _index_vocabulary(vocabulary)
    unknown: dict[str, None] = {}
    for word in _WORD.findall(_fold(prompt)):
        for part in _split_scripts(word):
            if not _HAN.match(part):
                if not _is_known(part, words):
                    unknown[part] = None
                continue
            unknown.update(dict.fromkeys(_unknown_han(part, phrases, longest)))
    return tuple(unknown)


@lru_cache(16)
def _index_vocabulary(vocabulary: Vocabulary) -> tuple[frozenset[str], frozenset[str], int]:
    """Single words, Chinese phrases, and the length of the longest phrase."""
    folded = _fold(" ".join(phrase for _, group in vocabulary for phrase in group))
    parts = [part for word in _WORD.findall(folded) for part in _split_scripts(word)]
    han = frozenset(part for part in parts if _HAN.match(part))
    return frozenset(parts) - han, han, max(map(len, han), default=0)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _split_scripts(word: str) -> Iterator[str]:
    """Runs of Chinese characters, and the text between them."""
    at = 0
    for han in _HAN.finditer(word):
        if han.start() > at:
            yield word[at : han.start()]
        yield han[0]
        at = han.end()
    if at < len(word):
        yield word[at:]


def _is_known(word: str, words: frozenset[str]) -> bool:
    if word in words or word in _FUNCTION_WORDS or f"{word}s" in words:
        return True
    return any(
        word.endswith(plural) and word[: -len(plural)] + one in words
        for plural, one in (("s", ""), ("es", ""), ("ies", "y"))
    )


def _unknown_han(run: str, phrases: frozenset[str], longest: int) -> Iterator[str]:
    """The unknown words in a run of Chinese, which has no spaces: the rest after the longest known
    phrases are removed from the left. A known character beside an unknown one is most likely part
    of the same word: 熊猫 is unknown if only 猫 is known."""
    word, is_unknown = "", False
    at = 0
    while at < len(run):
        sizes = range(min(longest, len(run) - at), 0, -1)
        size = next((size for size in sizes if run[at : at + size] in phrases), 0)
        if size > 1 or (not size and run[at] in _FUNCTION_HAN):
            if is_unknown:
                yield word
            word, is_unknown = "", False
        else:
            word += run[at]
            is_unknown |= not size
        at += size or 1
    if is_unknown:
        yield word
