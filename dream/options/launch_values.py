"""Values of launch options that are more than a word: --web, --workers, --resume."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dream.options.option_type import OptionType


class WebAddress(NamedTuple):
    """Where --web listens: a host and a port."""

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


def _read_address(words: Sequence[str]) -> WebAddress:
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
    _read_address,
    lambda value: [str(value)],
    nargs=(0, 1),
)


MAX_WORKERS = 256
_DEVICE = re.compile(r"cuda:(0|[1-9][0-9]{0,2})|mps")
_CPU = re.compile(r"cpu(?::([1-9][0-9]{0,2}))?")
_COUNT = re.compile(r"[1-9][0-9]{0,2}")


class WorkersOption(NamedTuple):
    """Workers on this machine, or on those of a Ray cluster."""

    number: int | None = None
    """How many; None is one for each GPU."""
    devices: tuple[str, ...] = ()
    """The device of each, where they are named: "cuda:0", "cpu"."""
    ray: str | None = None
    """The cluster's address, "" for a new one on this machine; None without Ray."""

    def __str__(self) -> str:
        if self.ray is not None:
            return ":".join(["ray", *filter(None, [self.ray, str(self.number or "")])])
        if self.devices:
            gpus = [device for device in self.devices if device != "cpu"]
            cpus = len(self.devices) - len(gpus)
            return ",".join([*gpus, *([f"cpu:{cpus}"] if cpus else [])])
        return str(self.number or "auto")


def _read_workers(words: Sequence[str]) -> WorkersOption:
    text = words[0]
    if text == "auto":
        return WorkersOption()
    if _COUNT.fullmatch(text):
        return WorkersOption(_limited(int(text)))
    if text == "ray" or text.startswith("ray:"):
        address = text.removeprefix("ray").removeprefix(":")
        if _COUNT.fullmatch(address):
            return WorkersOption(_limited(int(address)), ray="")
        if re.fullmatch(r"[+-]?\d+(\.\d*)?", address):
            raise ValueError  # a number that is no number of workers
        if address and not re.fullmatch(r"[\w.:/\[\]-]{1,200}", address):
            raise ValueError
        return WorkersOption(ray=address)
    devices: list[str] = []
    for part in text.split(","):
        if found := _CPU.fullmatch(part):
            devices += ["cpu"] * int(found[1] or 1)
        elif _DEVICE.fullmatch(part) and part not in devices:
            devices.append(part)
        else:
            raise ValueError
    return WorkersOption(_limited(len(devices)), tuple(devices))


def _limited(number: int) -> int:
    if number > MAX_WORKERS:
        raise ValueError
    return number


WORKERS: OptionType[WorkersOption] = OptionType(
    "WHICH",
    f"auto, a number up to {MAX_WORKERS}, cuda:0,cuda:1, cpu:2, ray, ray:N or ray:ADDRESS",
    _read_workers,
    lambda value: [str(value)],
)

BATCH_NAME: OptionType[str] = OptionType(
    "[NAME]",
    "the name of a batch",
    lambda words: words[0] if words else "",
    lambda value: [value] if value else [],
    nargs=(0, 1),
)
"""The value of --resume; without a name it is empty."""
