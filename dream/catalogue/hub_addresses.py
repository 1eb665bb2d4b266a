"""Where the hub is: a mirror first, if one is named, then the hub itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from dream.catalogue.addresses import get_origin, is_safe
from dream.core.errors import BadSetting, FetchError, ModelError

T = TypeVar("T")

HUB = "https://huggingface.co"


def check_mirror(url: str) -> str:
    """The address of a mirror without a slash at its end. Raises BadSetting for one that is not
    https, or that has a name and a password."""
    try:
        valid = is_safe(url) and "@" not in url and "?" not in url
    except ValueError:
        valid = False
    if not valid:
        raise BadSetting(
            f"--hub_mirror {url} is not an https address", "write it as https://hf-mirror.com"
        )
    return url.rstrip("/")


def get_hub() -> str:
    """The address of the hub itself: HF_ENDPOINT, or Hugging Face's."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB


def is_own(address: str) -> bool:
    """Whether the user's token is for this address. A mirror never gets it."""
    return get_origin(address) in (get_origin(get_hub()), get_origin(HUB))


def try_addresses(mirror: str, ask: Callable[[str], T], on_message: Callable[[str], None]) -> T:
    """What the first address answers that answers at all: the mirror, if there is one, then the
    hub. Raises the last one's FetchError or ModelError."""
    hub = get_hub()
    if mirror and mirror != hub:
        try:
            return ask(mirror)
        except (FetchError, ModelError) as error:
            on_message(f"{error.message}; trying {hub}")
    return ask(hub)
