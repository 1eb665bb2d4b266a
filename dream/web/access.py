"""Who may use the server: tokens, one-time links, and which hosts and origins are its own."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from dream.core.cli_options import CliOptions
from dream.core.errors import BadSetting
from dream.options.launch_values import WebAddress

COOKIE = "dream_session"
_SHORTEST = 12
"""Characters of a token: fewer can be guessed over a network."""
_MOST_LINKS = 100
"""One-time links that are not used yet; the oldest is forgotten."""


@dataclass(frozen=True)
class WebOptions:
    """How --web was asked for."""

    address: WebAddress = WebAddress()  # noqa: RUF009 - a NamedTuple
    token: str = ""
    """Empty: everybody who reaches the server may use it."""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


def read_web_options(launch: CliOptions, environment: Mapping[str, str]) -> WebOptions:
    """The options of --web. Raises BadSetting where the server would be open to strangers."""
    address = launch.web or WebAddress()
    token = launch.token or environment.get("DREAM_TOKEN", "")
    if not token and not address.is_loopback:
        raise BadSetting(
            f"--web {address} can be reached by other machines, so it needs a token",
            f"set DREAM_TOKEN, such as {secrets.token_urlsafe(18)}, or use --token",
        )
    if token and not (len(token) >= _SHORTEST and token.isascii() and token.isprintable()):
        raise BadSetting(f"--token needs at least {_SHORTEST} printable ASCII characters")
    origins = tuple(_read_origin(origin) for origin in _split(launch.allow_origin))
    hosts = tuple(host.lower() for host in _split(launch.allow_host))
    return WebOptions(address, token, hosts, origins)


def _split(value: str | None) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in (value or "").split(",")) if part)


def _read_origin(text: str) -> str:
    origin = text.rstrip("/").lower()
    scheme, separator, host = origin.partition("://")
    if scheme not in ("http", "https") or not separator or not host or "/" in host or "*" in host:
        raise BadSetting(
            f"--allow_origin {text} is not an origin", "use https://HOST or http://HOST"
        )
    return origin


@dataclass
class Access:
    """Checks what a client shows. Everything is compared in constant time."""

    options: WebOptions
    _sessions: set[str] = field(default_factory=set)
    _links: list[str] = field(default_factory=list)

    @property
    def needs_token(self) -> bool:
        """Whether clients have to show a token."""
        return bool(self.options.token)

    def make_link(self) -> str:
        """A secret for `/?once=SECRET`, which opens the page in one browser."""
        self._links.append(secrets.token_urlsafe(24))
        del self._links[:-_MOST_LINKS]
        return self._links[-1]

    def use_link(self, secret: str) -> str | None:
        """A cookie's value for the one who shows a link's secret; None if it is used or wrong."""
        for link in list(self._links):
            if _equal(link, secret):
                self._links.remove(link)
                session = secrets.token_urlsafe(24)
                self._sessions.add(session)
                return session
        return None

    def is_allowed(self, authorization: str, cookie: str) -> bool:
        """Whether these headers show the token, as Bearer or as the password of Basic, or the
        cookie of a one-time link."""
        if not self.needs_token:
            return True
        scheme, _, value = authorization.partition(" ")
        token = value.strip()
        if scheme.lower() == "basic":
            token = _password(token)
        elif scheme.lower() != "bearer":
            token = ""
        shown = any([_equal(session, cookie) for session in self._sessions])
        return _equal(self.options.token, token) or shown

    def is_host(self, header: str) -> bool:
        """Whether a Host header names this server. A name that somebody else's DNS answers with
        our address is not one of ours; an address cannot be such a name."""
        host = _without_port(header).lower()
        if host in ("localhost", *self.options.hosts):
            return True
        try:
            address = ip_address(host.strip("[]"))
        except ValueError:
            own = socket.gethostname().lower()
            return not self.options.address.is_loopback and host in (own, f"{own}.local")
        return address.is_loopback or not self.options.address.is_loopback

    def is_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header is that of our own page, or was allowed."""
        origin = origin.lower()
        return origin in (f"http://{host.lower()}", f"https://{host.lower()}") or (
            origin in self.options.origins
        )


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode(errors="replace"))


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0]
