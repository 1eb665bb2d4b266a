"""The value of --workers: how many worker processes render, and on what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dream.options.option_type import OptionType

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


def _read(words: Sequence[str]) -> WorkersOption:
    text = words[0]
    if text == "auto":
        return WorkersOption()
    if _COUNT.fullmatch(text):
        return WorkersOption(_limited(int(text)))
    if text == "ray" or text.startswith("ray:"):
        address = text.removeprefix("ray").removeprefix(":")
        if _COUNT.fullmatch(address):
            return WorkersOption(_limited(int(address)), ray="")
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
    "auto, a number, cuda:0,cuda:1, cpu:2, ray, ray:N or ray:ADDRESS",
    _read,
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
