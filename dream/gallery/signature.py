"""Signs images, to prove that this user's dream wrote them.

After a crash, an image may be in the folder but not in the log. Its line is in the PNG, but a PNG
from anywhere can contain a line. So each PNG is signed: HMAC-SHA256 (RFC 2104) of its log line,
with a random key in the user's state folder, which never leaves this machine.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_state_path

from dream.core.own_files import new_beside, read_own

_KEY_BYTES = 32


def sign(text: str) -> str:
    """The signature of a text, 64 hex digits."""
    key = _key_in(user_state_path("dream", appauthor=False))
    # In UTF-16, two surrogates are the same as the character, as in JSON.
    return hmac.new(key, text.encode("utf-16-le", "surrogatepass"), "sha256").hexdigest()


def is_signed(text: str, signature: str) -> bool:
    """Whether the signature is this user's, of this text."""
    return hmac.compare_digest(sign(text).encode(), signature.encode(errors="replace"))


@cache
def _key_in(folder: Path) -> bytes:
    """The key in a folder, created on first use. If it cannot be saved, as in a container without a
    home, it lasts as long as this process."""
    path = folder / "key"
    for _ in range(2):
        with suppress(OSError):
            key = read_own(path)
            if len(key) == _KEY_BYTES:
                return key
        with suppress(OSError):
            _make(path)
    return secrets.token_bytes(_KEY_BYTES)


def _make(path: Path) -> None:
    """Create a new key, unless another program has created one meanwhile. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary, file = new_beside(path)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(secrets.token_bytes(_KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # hard links are not supported here
            if not os.path.lexists(path):  # another program's file is not replaced
                temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
