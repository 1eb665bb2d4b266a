"""Where the SHA-256 of weight files is remembered, in the user's cache folder.

By path, size and modification time, because two gigabytes take seconds. The worker computes it
behind the first image; the prompt's process only looks it up, to find a model by its hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

DIGITS = 64


def find_digest_file(files: Sequence[Path]) -> Path:
    """The file that holds the digest of these files, or will. Raises OSError if one of them is
    missing."""
    stats = [(str(path.resolve()), path.stat()) for path in files]
    key = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    name = hashlib.sha256(key.encode()).hexdigest()
    return user_cache_path("dream", appauthor=False) / "weights" / name


def read_known_digest(files: Sequence[Path]) -> str:
    """The digest of these files, 64 hex digits, if it was computed before; else empty."""
    with suppress(OSError, ValueError):
        digest = find_digest_file(files).read_text()
        return digest if len(digest) == DIGITS else ""
    return ""
