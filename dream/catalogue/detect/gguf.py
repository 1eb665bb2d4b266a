"""Explains what a GGUF file (llama.cpp's format of quantized weights) contains, from its first
bytes.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import re
import struct

MAGIC = b"GGUF"
HEAD = 4096
"""Bytes that contain the name of the architecture, the first metadata key."""

_KEY = b"general.architecture"
_STRING = 8
_NAME = re.compile(rb"[\w.-]{1,40}", re.ASCII)

_PART = "it is one part of a model; use the whole model"
_ARCHITECTURES = {
    "flux": ("FLUX.1", "black-forest-labs/FLUX.1-dev"),
    "sd1": ("Stable Diffusion 1", ""),
    "sdxl": ("Stable Diffusion XL", "stabilityai/stable-diffusion-xl-base-1.0"),
    "sd3": ("Stable Diffusion 3", "stabilityai/stable-diffusion-3.5-large"),
    "aura": ("AuraFlow", "fal/AuraFlow-v0.3"),
    "lumina2": ("Lumina 2", "Alpha-VLLM/Lumina-Image-2.0"),
    "qwen_image": ("Qwen-Image", "Qwen/Qwen-Image"),
    "hidream": ("HiDream-I1", ""),
    "wan": ("Wan, a video model", ""),
}
"""Architecture name in GGUF files of image models → the model, and `owner/name` of a folder to use
instead."""
_ENCODERS = ("t5", "t5encoder", "clip", "llama", "qwen2", "qwen2vl", "qwen3", "gemma2", "mistral")


def refusal(head: bytes) -> tuple[str, str]:
    """Why such a file is not loaded, as it completes “PATH …”, and what to do. `head` is its first
    HEAD bytes."""
    architecture = _read_architecture(head)
    if architecture in _ARCHITECTURES:
        model, hub = _ARCHITECTURES[architecture]
        hint = f"to download its folder: !import_model {hub}" if hub else "use the model's folder"
        return f"is {model} in a GGUF file, which is not supported", hint
    if architecture in _ENCODERS:
        return f"is a text encoder ({architecture}) in a GGUF file, which is not supported", _PART
    what = f"is a GGUF file of “{architecture}”" if architecture else "is a GGUF file"
    return f"{what}, which is not supported", "use the model's folder from the hub"


def _read_architecture(head: bytes) -> str:
    """The architecture name in the file; empty if there is none."""
    at = head.find(_KEY) + len(_KEY)
    if at < len(_KEY) or len(head) < at + 12:
        return ""
    kind, length = struct.unpack_from("<IQ", head, at)
    name = head[at + 12 : at + 12 + min(length, HEAD)]
    return name.decode("ascii") if kind == _STRING and _NAME.fullmatch(name) else ""
