"""Detects what a model predicts, noise or velocity, from hints beside its weights."""

from __future__ import annotations

import re
from pathlib import Path

from dream.catalogue.detect.headers import Header
from dream.core.bounded_reading import read_bounded

_V_NAME = re.compile(r"v-?_?pred|768-?v|v2-[01]_768|(^|[-_.])768($|[-_.])", re.IGNORECASE)
_YAML_LIMIT = 1 << 20
"""Maximum bytes of a .yaml beside a model; Stability's have two thousand."""
_EPSILON_NAME = re.compile(r"(^|[-_.])(eps(ilon)?|512|base)($|[-_.])|v2-[01]_512", re.IGNORECASE)


def detect_prediction_type(header: Header, family: str, variant: str) -> tuple[str, bool]:
    """The prediction type, "epsilon" or "v_prediction", and whether it has zero terminal SNR.

    Checked in this order: a tensor named `v_pred` (and `ztsnr`), as some trainers write; metadata
    (modelspec.prediction_type, ss_v_parameterization); a .yaml of the same name beside the file, in
    Stability's format (`parameterization: "v"`); the file name (v-pred, 768-v, 512-base …). The
    default is velocity for Stable Diffusion 2, as in diffusers and most published files; noise for
    its inpainting and depth variants and every other family.
    """
    zero_snr = "ztsnr" in header.tensors or header.metadata.get("ss_zero_terminal_snr") == "True"
    if "v_pred" in header.tensors:
        return "v_prediction", zero_snr
    return _from_metadata(header) or _from_name(header.path.stem, family, variant), zero_snr


def _from_metadata(header: Header) -> str:
    metadata = header.metadata
    modelspec = metadata.get("modelspec.prediction_type", "").lower()
    if modelspec.startswith("v"):
        return "v_prediction"
    if modelspec.startswith("eps"):
        return "epsilon"
    if "ss_v_parameterization" in metadata:
        return "v_prediction" if metadata["ss_v_parameterization"] == "True" else "epsilon"
    return _from_yaml(header.path.with_suffix(".yaml"))


def _from_yaml(path: Path) -> str:
    """The prediction type in Stability's .yaml format; empty if there is no such file."""
    try:
        text = read_bounded(path, _YAML_LIMIT).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
    if "linear_start:" not in text:  # some other program's .yaml
        return ""
    rows = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    values = (
        value.strip().strip("\"'") for key, value in rows if key.strip() == "parameterization"
    )
    return "v_prediction" if "v" in values else "epsilon"


def _from_name(stem: str, family: str, variant: str) -> str:
    if re.search(r"v-?_?pred", stem, re.IGNORECASE):
        return "v_prediction"
    if family != "sd2" or variant:
        return "epsilon"
    if _V_NAME.search(stem):
        return "v_prediction"
    return "epsilon" if _EPSILON_NAME.search(stem) else "v_prediction"
