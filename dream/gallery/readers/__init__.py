"""Readers of what other programs record in images, one module a program.

To add a program: a module with a function that takes an ImageText and returns a ForeignRecord or
None, a row in READERS, a sample in tests/gallery/foreign_samples.py, and its name in
scripts/reference.py's table.
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
