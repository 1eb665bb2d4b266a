"""Bytes changed as damage and malice change them: a few at a time, or one thing many times over."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

GROWN = 400
"""One case in so many is grown large."""
LARGEST = 2 << 20
"""Bytes of a grown case."""
_ENDS = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def mutate(random: Random, data: bytes, words: Sequence[bytes] = ()) -> bytes:
    """The bytes with one to eight changes; `words` are what the format knows."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        _change(random, changed, words)
    if random.randrange(GROWN) == 0:
        return grown(random, bytes(changed), random.randrange(1, LARGEST))
    return bytes(changed)


def grown(random: Random, data: bytes, size: int) -> bytes:
    """The bytes with a piece of them repeated until there are about so many."""
    start = random.randrange(len(data) + 1)
    piece = data[start : start + random.choice((1, 2, 3, 8, 30, 200))] or b"\0"
    return data[:start] + piece * (size // len(piece)) + data[start:]


def _change(random: Random, data: bytearray, words: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    length = random.choice((1, 1, 2, 4, 8, 40))
    match random.randrange(7 if words else 5):
        case 0 if at < len(data):
            data[at] = random.choice((*_ENDS, random.randrange(256)))
        case 1:
            del data[at : at + length]
        case 2:
            data[at:at] = random.randbytes(length)
        case 3:
            other = random.randrange(len(data) + 1)
            data[at : at + length] = data[other : other + length]
        case 4:
            data[at:at] = data[at : at + length] * random.choice((1, 2, 30))
        case _ if words:
            replaced = length if random.random() < 0.5 else 0
            data[at : at + replaced] = random.choice(words)
