"""Readers of what other programs record in images, one module a program.

CONTRIBUTING.md says how to add one.
"""

from dream.gallery.readers.read_foreign import (
    READERS,
    RecordReader,
    read_foreign,
    read_foreign_text,
)
from dream.gallery.readers.record import ForeignLora, ForeignRecord

__all__ = [
    "READERS",
    "ForeignLora",
    "ForeignRecord",
    "RecordReader",
    "read_foreign",
    "read_foreign_text",
]
