"""A picture's proof that this user's dream wrote it, which nobody else can make.

After a crash a picture may be in the folder and not in the log. Its line is in the PNG, but so it
would be in a PNG that came from anywhere. So each PNG is signed: HMAC-SHA256 (RFC 2104) of its log
line, with a random key that lies in the user's state folder and never leaves this machine.
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
    # In UTF-16 two halves of a character are the same as the whole, as JSON has it too.
    return hmac.new(key, text.encode("utf-16-le", "surrogatepass"), "sha256").hexdigest()


def is_signed(text: str, signature: str) -> bool:
    """Whether the signature is this user's, of this text."""
    return hmac.compare_digest(sign(text).encode(), signature.encode(errors="replace"))


@cache
def _key_in(folder: Path) -> bytes:
    """The key that lies in a folder, made at first use. Where none can be kept, as in a container
    without a home, one that lasts as long as this process."""
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
    """A new key, unless another program has made one by now. Raises OSError."""
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
        except OSError:  # no hard links here
            if not os.path.lexists(path):  # what stands there is not dream's to replace
                temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
