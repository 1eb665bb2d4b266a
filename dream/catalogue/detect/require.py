"""Checks that a weights file is what it is used as; an error says what it is instead."""

from __future__ import annotations

from pathlib import Path

from dream.catalogue.detect.detected_model import DetectedModel
from dream.catalogue.detect.model_kinds import describe_kind, detect, get_usage_hint
from dream.core.errors import ModelError
from dream.core.plain_text import shorten_name


def require_model(path: Path) -> DetectedModel:
    """Detect a file that must be a model dream can load. Raises ModelError, which says what the
    file is instead and how to use it; and for a pickle that would run code."""
    detected = require_supported(path)
    if detected.kind != "model":
        called = detected.called or describe_kind(detected.kind)
        raise ModelError(
            f"{path} is {called}, not a model", detected.place or get_usage_hint(detected.kind)
        )
    if detected.called:
        raise ModelError(f"{path} {detected.called}", detected.place)
    if detected.variant in ("instruct-pix2pix", "x4-upscaler"):
        raise ModelError(f"{path} is an {detected.variant} model, which is not supported")
    if detected.variant == "edm":
        raise ModelError(
            f"{path} is an EDM model, which is not supported as a single file",
            "load it from its folder in diffusers layout, or by its hub id",
        )
    return detected


def require_vae(path: Path) -> DetectedModel:
    """Detect a file that must be a VAE, or a model that contains one. Raises ModelError, which says
    what the file is instead; and for a pickle that would run code."""
    detected = require_supported(path)
    if detected.kind not in ("vae", "model"):
        called = detected.called or describe_kind(detected.kind)
        raise ModelError(
            f"{path} is not a VAE, but {called}", detected.place or get_usage_hint(detected.kind)
        )
    return detected


def require_supported(path: Path) -> DetectedModel:
    """Detect a file whose number format is supported. Raises ModelError for one of another, and for
    a pickle that would run code."""
    detected = require_safe(path)
    if detected.refused:
        raise ModelError(f"{path} {detected.called}", detected.place)
    return detected


def require_safe(path: Path) -> DetectedModel:
    """Detect a file that runs no code when it is loaded. Raises ModelError for one that would."""
    detected = detect(path)
    refuse_unsafe(detected)
    return detected


def refuse_unsafe(detected: DetectedModel) -> None:
    """Raises ModelError for a file that runs code when it is loaded."""
    if detected.code:
        raise ModelError(
            f"{detected.path} is refused: loading it would run {shorten_name(detected.code[0])}",
            "use a .safetensors version, or convert it on an isolated machine",
        )
