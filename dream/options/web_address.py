"""The address that --web listens on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dream.options.option_type import OptionType


class WebAddress(NamedTuple):
    """A host and a port."""

    host: str = "127.0.0.1"
    port: int = 7860
    """0 is any free port."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        from ipaddress import ip_address  # no bare start waits for it

        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _read(words: Sequence[str]) -> WebAddress:
    from ipaddress import ip_address

    if not words:
        return WebAddress()
    host, colon, port = words[0].rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ip_address(host).version != 6:
            raise ValueError
    elif ":" in host or (colon and not host) or any(char.isspace() for char in host):
        raise ValueError
    if not (port.isascii() and port.isdecimal() and int(port) < 1 << 16):
        raise ValueError
    return WebAddress(host or WebAddress().host, int(port))


WEB_ADDRESS: OptionType[WebAddress] = OptionType(
    "[[HOST:]PORT]",
    "a port, or HOST:PORT",
    _read,
    lambda value: [str(value)],
    nargs=(0, 1),
)
