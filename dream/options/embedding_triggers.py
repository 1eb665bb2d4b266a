"""Finds the words of a prompt that stand for an embedding (textual inversion).

An embedding called `ink` is used by `ink` as a whole word, as in the AUTOMATIC1111 web UI, by
`<ink>`, as in InvokeAI, and by `embedding:ink`, as in ComfyUI, where a folder and a suffix may be
written, too: `embedding:styles/ink.pt`. It is never found inside a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

_NOT_BEFORE = r"(?<!\w)(?<!\w-)"
_NOT_AFTER = r"(?!\w|-\w)"
_FOLDERS = r"(?:[\w.-]+[/\\])*"
_SUFFIX = r"(?:\.(?:safetensors|pt|bin|ckpt|pth|png|webp))?"
_NAMED = re.compile(rf"{_NOT_BEFORE}embedding:([^\s,;:()<>\[\]|]+)", re.IGNORECASE)


@lru_cache(maxsize=64)
def build_trigger_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that finds the triggers of these embeddings, the longest first. Its groups `N` and
    `N + 1` … are the names, in the order of `names`: see `find_name`."""
    rows = []
    for number, name in sorted(enumerate(names), key=lambda row: -len(row[1])):
        spelled = re.escape(name)
        bare = spelled if name.startswith("<") else rf"{_NOT_BEFORE}{spelled}{_NOT_AFTER}"
        rows.append(
            rf"(?P<e{number}>{_NOT_BEFORE}embedding:{_FOLDERS}{spelled}{_SUFFIX}{_NOT_AFTER}"
            rf"|<{spelled}>|{bare})"
        )
    return re.compile("|".join(rows) or r"(?!)", re.IGNORECASE)


def find_name(match: re.Match[str], names: Sequence[str]) -> str:
    """The name of the embedding that a match is a trigger of."""
    assert match.lastgroup is not None
    return names[int(match.lastgroup[1:])]


def find_triggered(text: str, names: Iterable[str]) -> list[str]:
    """The embeddings whose triggers are in a text, in the text's order, each once."""
    lowered = text.casefold()
    candidates = tuple(name for name in names if name.casefold() in lowered)
    if not candidates:
        return []
    pattern = build_trigger_pattern(candidates)
    triggered = (find_name(match, candidates) for match in pattern.finditer(text))
    return list(dict.fromkeys(triggered))


def find_unknown(text: str, names: Iterable[str]) -> list[str]:
    """What `embedding:NAME` names in a text, but none of these embeddings is; each once."""
    lowered = text.casefold()
    if "embedding:" not in lowered:
        return []
    pattern = build_trigger_pattern(tuple(name for name in names if name.casefold() in lowered))
    return list(dict.fromkeys(match[1] for match in _NAMED.finditer(pattern.sub(" ", text))))
