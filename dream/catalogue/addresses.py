"""Addresses, and the names that servers give: what may be asked, shown, and written to the disk."""

from __future__ import annotations

import base64
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit, urlunsplit

_RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
)
_LONGEST_NAME = 200
"""Bytes; systems allow 255, and there is a suffix on the way."""


def get_origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what a secret is for. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def redact_secrets(url: str) -> str:
    """An address without what may be a secret in it: name and password, and what follows `?`."""
    bare, mark, _ = url.partition("?")
    start, slashes, rest = bare.partition("//")
    host, slash, path = rest.partition("/")
    whole = f"{start}{slashes}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if mark else "")
    return make_printable_url(whole)


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The address, and its name and password as a header. Raises ValueError for no address."""
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("an address has no spaces")
    parts = urlsplit(url)
    if (parts.scheme == "https" and not parts.hostname) or parts.port == 0:
        raise ValueError("there is no host in it")
    who, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    name, _, password = who.partition(":")
    joined = f"{unquote(name)}:{unquote(password)}".encode()
    secret = {"Authorization": f"Basic {base64.b64encode(joined).decode()}"}
    return urlunsplit(parts._replace(netloc=host)), secret


def is_plain_name(name: str) -> bool:
    """Whether a name that a server gives can be a file's on every system: no path, nothing that
    Windows reserves, no control characters."""
    reserved = name.split(".")[0].rstrip().upper() in _RESERVED
    return (
        0 < len(name.encode(errors="replace")) <= _LONGEST_NAME
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
        and name.strip(" .") != ""
        and name[-1] not in " ."
        and not reserved
    )


def is_safe(url: str) -> bool:
    """Whether it is https, or this machine itself. Raises ValueError for no address."""
    parts = urlsplit(url)
    if parts.scheme == "http":
        with suppress(ValueError):
            return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    return parts.scheme == "https"


def make_printable_url(text: str) -> str:
    """A stranger's text on one line, without what steers a terminal, and not too long."""
    return "".join(c if c.isprintable() else "�" for c in text)[:300]
