"""Checks URLs and file names from servers: which may be requested, displayed, or written to
disk."""

from __future__ import annotations

import base64
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit, urlunsplit

_RESERVED_NAMES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
)
_MAX_NAME_BYTES = 200
"""Bytes; systems allow 255, and a suffix is added during a download."""


def get_origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL; credentials are valid for one origin. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def redact_secrets(url: str) -> str:
    """The URL without its possible secrets: user name, password, and the query after `?`."""
    bare, mark, _ = url.partition("?")
    start, slashes, rest = bare.partition("//")
    host, slash, path = rest.partition("/")
    whole = f"{start}{slashes}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if mark else "")
    return make_printable_url(whole)


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The URL without credentials, and its name and password as a header. Raises ValueError for an
    invalid URL."""
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("an address cannot contain spaces")
    parts = urlsplit(url)
    if (parts.scheme == "https" and not parts.hostname) or parts.port == 0:
        raise ValueError("it has no host")
    credentials, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    name, _, password = credentials.partition(":")
    plain = f"{unquote(name)}:{unquote(password)}".encode()
    secret = {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}
    return urlunsplit(parts._replace(netloc=host)), secret


def is_plain_name(name: str) -> bool:
    """Whether a name from a server is a valid file name on every system: not a path, not reserved
    by Windows, no control characters."""
    reserved = name.split(".")[0].rstrip().upper() in _RESERVED_NAMES
    return (
        0 < len(name.encode(errors="replace")) <= _MAX_NAME_BYTES
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
        and name.strip(" .") != ""
        and name[-1] not in " ."
        and not reserved
    )


def is_safe(url: str) -> bool:
    """Whether the URL is https, or http to this machine. Raises ValueError for an invalid URL."""
    parts = urlsplit(url)
    if parts.scheme == "http":
        with suppress(ValueError):
            return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    return parts.scheme == "https"


def make_printable_url(text: str) -> str:
    """Untrusted text as one line of at most 300 characters, without terminal control sequences."""
    return "".join(c if c.isprintable() else "�" for c in text)[:300]
