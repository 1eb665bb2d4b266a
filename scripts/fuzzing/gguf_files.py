"""Files in llama.cpp's format: metadata with lists, reshaped weights, counts and sizes that lie."""

from __future__ import annotations

import struct
from random import Random

from scripts.fuzzing.mutations import GROWN, mutate

_NUMBERS = (0, 1, 2**16, 2**31, 2**32 - 1, 2**48, 2**62, 2**64 - 1)
_TENSORS = (
    ("model.diffusion_model.input_blocks.0.0.weight", (4, 3, 3, 32), 2),
    ("cond_stage_model.transformer.text_model.final_layer_norm.weight", (32,), 0),
    ("token_embd.weight", (256, 4), 12),
    ("blk.0.attn_q.weight", (256, 4), 14),
)


def text(value: bytes) -> bytes:
    """A string, as the format has it."""
    return struct.pack("<Q", len(value)) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    """A row of the metadata."""
    return text(key) + struct.pack("<I", kind) + value


def words(count: int, claimed: int | None = None) -> bytes:
    """A list of short strings, as tokenizers have; and how many it says it has."""
    head = struct.pack("<IQ", 8, count if claimed is None else claimed)
    return head + struct.pack("<Q", 1) + b"a" if not count else head + (text(b"ab") * count)


def made(random: Random) -> bytes:
    """A small file, changed somewhere; seldom one with lists of a million."""
    entries = [
        entry(b"general.architecture", 8, text(random.choice((b"sd1", b"qwen3", b"t5encoder")))),
        entry(b"general.alignment", 4, struct.pack("<I", random.choice((32, 1, 0, 2**31)))),
        entry(b"tokenizer.ggml.tokens", 9, words(random.randrange(20))),
        entry(b"tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, 2) + bytes(8)),
        entry(b"comfy.gguf.orig_shape.token_embd.weight", 9, _shape(random)),
    ]
    if random.randrange(GROWN) == 0:
        entries.append(entry(b"many", 9, words(random.randrange(1_000_000))))
    if random.randrange(GROWN) == 0:
        many = random.randrange(30_000)
        entries += [entry(b"k%d" % n, 8, text(b"v" * 300)) for n in range(many)]
    rows = [_tensor(random, *row) for row in _TENSORS]
    if random.randrange(GROWN) == 0:
        rows += [_tensor(random, f"{'n' * 250}{n}", (32,), 0) for n in range(30_000)]
    counts = [len(rows), len(entries)]
    if random.random() < 0.1:
        counts[random.randrange(2)] = random.choice(_NUMBERS)
    head = b"GGUF" + struct.pack("<IQQ", random.choice((3, 3, 3, 2, 1, 2**31)), *counts)
    data = head + b"".join(entries) + b"".join(rows)
    if random.random() < 0.5:
        data = mutate(random, data, tuple(struct.pack("<Q", n) for n in _NUMBERS))
    return data + bytes(random.choice((0, 31, 4096)))


def _shape(random: Random) -> bytes:
    sides = random.choice(((4, 256), (2, 2, 256), (1024,), (0, 5), (2**31 - 1,) * 2, ()))
    return struct.pack(f"<IQ{len(sides)}I", 4, len(sides), *sides)


def _tensor(random: Random, name: str, sides: tuple[int, ...], kind: int) -> bytes:
    if random.random() < 0.05:
        sides = tuple(random.choice(_NUMBERS) for _ in range(random.randrange(6)))
        kind = random.choice((kind, random.randrange(40), 2**31))
    body = struct.pack(f"<I{len(sides)}Q", len(sides), *sides)
    offset = 0 if random.random() < 0.9 else random.choice(_NUMBERS)
    return text(name.encode()) + body + struct.pack("<IQ", kind, offset)
