"""What an image records about the files that it was made with."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

DIGITS = 16
"""How many hex digits of a file's SHA-256 are in the log."""


def read_digest(digest: Future[str]) -> str:
    """A SHA-256 that is computed beside the first image; "unknown" if the file was removed after it
    was opened: the image is still good."""
    try:
        return digest.result()
    except OSError:
        return "unknown"


def record_digests(kind: str, digests: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Of files of a kind, by name: the beginnings of their SHA-256 in this order, and all of each;
    nothing if there is none."""
    if not digests:
        return {}
    beginnings = ",".join(digest[:DIGITS] for _, digest in digests)
    return {kind: beginnings} | {f"{kind} {name}": digest for name, digest in digests}
