"""The data types of GGUF files (llama.cpp's format of quantized weights), and which are supported.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from typing import NamedTuple


class BlockType(NamedTuple):
    """A data type: its numbers are stored in blocks, each of the same size."""

    name: str
    """As in llama.cpp: "F16", "Q4_K" …"""
    numbers: int
    """In a block."""
    size: int
    """Bytes of a block."""
    supported: bool = True

    @property
    def bits(self) -> float:
        """Bits of one number."""
        return 8 * self.size / self.numbers


BLOCK_TYPES = {
    0: BlockType("F32", 1, 4),
    1: BlockType("F16", 1, 2),
    2: BlockType("Q4_0", 32, 18),
    3: BlockType("Q4_1", 32, 20),
    6: BlockType("Q5_0", 32, 22),
    7: BlockType("Q5_1", 32, 24),
    8: BlockType("Q8_0", 32, 34),
    9: BlockType("Q8_1", 32, 40, supported=False),
    10: BlockType("Q2_K", 256, 84),
    11: BlockType("Q3_K", 256, 110),
    12: BlockType("Q4_K", 256, 144),
    13: BlockType("Q5_K", 256, 176),
    14: BlockType("Q6_K", 256, 210),
    15: BlockType("Q8_K", 256, 292, supported=False),
    16: BlockType("IQ2_XXS", 256, 66, supported=False),
    17: BlockType("IQ2_XS", 256, 74, supported=False),
    18: BlockType("IQ3_XXS", 256, 98, supported=False),
    19: BlockType("IQ1_S", 256, 50, supported=False),
    20: BlockType("IQ4_NL", 32, 18),
    21: BlockType("IQ3_S", 256, 110, supported=False),
    22: BlockType("IQ2_S", 256, 82, supported=False),
    23: BlockType("IQ4_XS", 256, 136),
    24: BlockType("I8", 1, 1),
    25: BlockType("I16", 1, 2),
    26: BlockType("I32", 1, 4),
    27: BlockType("I64", 1, 8),
    28: BlockType("F64", 1, 8),
    29: BlockType("IQ1_M", 256, 56, supported=False),
    30: BlockType("BF16", 1, 2),
    34: BlockType("TQ1_0", 256, 54, supported=False),
    35: BlockType("TQ2_0", 256, 66, supported=False),
    39: BlockType("MXFP4", 32, 17, supported=False),
}
"""By number in the file; tests compare it with the `gguf` package."""

QUANTIZED = {row.name: row for row in BLOCK_TYPES.values() if row.numbers > 1}
"""The types of quantized weights, by name."""
