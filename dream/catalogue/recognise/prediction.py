"""What a model predicts, noise or velocity: its weights look the same, so others must tell."""

from __future__ import annotations

import re

from dream.catalogue.recognise.headers import Header

_V_IN_NAME = re.compile(r"v-?_?pred|768-?v|v2-[01]_768|(^|[-_.])768($|[-_.])", re.IGNORECASE)
_EPSILON_IN_NAME = re.compile(r"(^|[-_.])(eps(ilon)?|512|base)($|[-_.])|v2-[01]_512", re.IGNORECASE)


def prediction_type(header: Header, family: str, variant: str) -> tuple[str, bool]:
    """ "epsilon" or "v_prediction", and whether the noise goes down to pure noise.

    Asked in this order: a tensor named `v_pred` (and `ztsnr`), as some trainers write; metadata
    (modelspec.prediction_type, ss_v_parameterization); a .yaml of the same name beside it, in
    Stability's form (`parameterization: "v"`); the file's own name (v-pred, 768-v, 512-base …).
    Where all are silent: velocity for Stable Diffusion 2, which is what diffusers and most of the
    files out there mean; noise for its inpainting and depth variants and every other family.
    """
    zero_snr = "ztsnr" in header.tensors or header.metadata.get("ss_zero_terminal_snr") == "True"
    if "v_pred" in header.tensors:
        return "v_prediction", zero_snr
    return _said(header) or _usual(header.path.stem, family, variant), zero_snr


def _said(header: Header) -> str:
    metadata = header.metadata
    spoken = metadata.get("modelspec.prediction_type", "").lower()
    if spoken.startswith("v"):
        return "v_prediction"
    if spoken.startswith("eps"):
        return "epsilon"
    if "ss_v_parameterization" in metadata:
        return "v_prediction" if metadata["ss_v_parameterization"] == "True" else "epsilon"
    try:
        beside = header.path.with_suffix(".yaml").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    if "linear_start:" not in beside:  # some other program's .yaml
        return ""
    velocity = re.search(r"^\s*parameterization:\s*[\"']?v[\"']?\s*$", beside, re.MULTILINE)
    return "v_prediction" if velocity else "epsilon"


def _usual(stem: str, family: str, variant: str) -> str:
    if re.search(r"v-?_?pred", stem, re.IGNORECASE):
        return "v_prediction"
    if family != "sd2" or variant:
        return "epsilon"
    if _V_IN_NAME.search(stem):
        return "v_prediction"
    return "epsilon" if _EPSILON_IN_NAME.search(stem) else "v_prediction"
