"""What another program recorded about an image, in one form for all programs."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dream.core.bounded_reading import parse_json

A1111, INVOKEAI, PLAIN = "a1111", "invokeai", "plain"
"""Prompt syntaxes."""

LONGEST_JSON = 2 << 20
"""Maximum characters of a JSON text; graphs of ComfyUI have up to some 500,000."""
_MOST_NAMES = 40
"""Maximum names of settings that are listed as not understood."""


class ForeignLora(NamedTuple):
    """A LoRA that the image was made with."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ForeignRecord:
    """The settings of an image as another program recorded them; None or empty: not recorded."""

    tool: str
    """The program, such as "ComfyUI"."""
    version: str = ""
    prompt: str = ""
    negative: str = ""
    syntax: str = PLAIN
    """How weights are written in the prompt: A1111, INVOKEAI or PLAIN."""
    seed: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str = ""
    """As the program calls it."""
    schedule: str = ""
    """As the program calls it."""
    width: int | None = None
    height: int | None = None
    """Pixels, of the finished image."""
    model: str = ""
    model_hash: str = ""
    """Hex digits; in AUTOMATIC1111's way the first ten of the file's SHA-256."""
    vae: str = ""
    clip_skip: int | None = None
    weighting: str = ""
    """A value of `--weighting`, where it is not what belongs to the syntax."""
    loras: tuple[ForeignLora, ...] = ()
    """Those that are not written in the prompt."""
    lora_digests: tuple[tuple[str, str], ...] = ()
    """LoRAs in the prompt, and the beginnings of the SHA-256 of their tensors, hex digits."""
    strength: float | None = None
    """Denoising strength of an image made from another one."""
    hires_strength: float | None = None
    """Denoising strength of a second, larger pass."""
    variation: tuple[int, float] | None = None
    """Seed and weight of the noise that is blended in."""
    seamless: bool = False
    cfg_rescale: float | None = None
    input_images: tuple[str, ...] = ()
    """Names or descriptions of the images it began from."""
    gpu_noise: bool = False
    """Whether the noise was drawn on a GPU, which gives another image from the same seed."""
    switches: str = ""
    """Switches of dream that another program's form has no place for."""
    unread: tuple[str, ...] = ()
    """Names of what the record holds besides, and of what was done with the image."""


class Settings:
    """Takes known settings out of a mapping, so that the rest can be named."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    def take(self, *keys: str) -> object:
        """The value of the first of these keys that has one, or None; all of them are taken."""
        values = [self._values.pop(key, None) for key in keys]
        return next((value for value in values if value is not None), None)

    def text(self, *keys: str) -> str:
        """The same as text; empty if it is neither text nor a number."""
        value = self.take(*keys)
        return to_text(value)

    def whole(self, *keys: str) -> int | None:
        """The same as a whole number; None if it is none."""
        return to_whole(self.take(*keys))

    def number(self, *keys: str) -> float | None:
        """The same as a finite number; None if it is none."""
        return to_number(self.take(*keys))

    def table(self, *keys: str) -> dict[str, object]:
        """The same as a mapping; empty if it is none."""
        return to_table(self.take(*keys))

    def names_left(self, ignored: Collection[str] = ()) -> tuple[str, ...]:
        """The names of settings that were not taken, without those that are empty or off."""
        off: tuple[object, ...] = (None, "", False, "None", "none", "False")
        left = (
            name
            for name, value in self._values.items()
            if name not in ignored
            and not any(value is no or value == no for no in off)
            and value not in ([], {}, 0)
        )
        return limit_names(left)


def limit_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names for a message: each once, short, and not endlessly many."""
    short = list(dict.fromkeys(name[:60] for name in names if name))
    more = len(short) - _MOST_NAMES
    return (*short[:_MOST_NAMES], f"{more} more") if more > 0 else tuple(short)


def to_text(value: object) -> str:
    """A value as text; empty if it is neither text nor a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(to_whole(value) or 0)
    return ""


def to_number(value: object) -> float | None:
    """A value as a finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > 60:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def to_weight(value: object) -> float:
    """A value as a weight; 1 if it is no number."""
    number = to_number(value)
    return 1.0 if number is None else number


def to_whole(value: object) -> int | None:
    """A value as a whole number of at most 64 bits; None if it is none."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,20}\s*", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 64 else None
    number = to_number(value)
    return (
        int(number) if number is not None and number.is_integer() and abs(number) < 1e15 else None
    )


def to_table(value: object) -> dict[str, object]:
    """A value as a mapping; empty if it is none."""
    return dict(value) if isinstance(value, dict) else {}


def to_list(value: object) -> list[object]:
    """A value as a list; empty if it is none."""
    return list(value) if isinstance(value, list | tuple) else []


def parse_table(text: str) -> dict[str, object]:
    """The JSON object in a text; empty if there is none, or it is too long."""
    text = text.strip()
    if not text.startswith("{") or len(text) > LONGEST_JSON:
        return {}
    try:
        return to_table(parse_json(text))
    except ValueError:
        return {}


def parse_size(text: str) -> tuple[int | None, int | None]:
    """Width and height of `512x768`, `(512, 768)`, `512 × 768`."""
    match = re.fullmatch(r"\W{0,2}([0-9]{1,6})\s{0,3}[x×X,;]\s{0,3}([0-9]{1,6})\W{0,2}", text[:40])
    return (int(match[1]), int(match[2])) if match else (None, None)


def strip_suffix(name: str) -> str:
    """A model's name without folders and without the suffix of a weights file."""
    name = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return re.sub(r"\.(safetensors|ckpt|pt|pth|bin|gguf|sft)$", "", name, flags=re.IGNORECASE)


def iterate_tables(values: object) -> Iterator[dict[str, object]]:
    """The mappings in a list."""
    return (dict(value) for value in to_list(values) if isinstance(value, dict))
