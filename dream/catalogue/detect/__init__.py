"""Detects what a weights file is from its header; no weight is read, and no code in it is run."""

from dream.catalogue.detect.detected_model import DetectedModel
from dream.catalogue.detect.headers import Header, TensorHeader, read_header
from dream.catalogue.detect.model_kinds import classify, detect, get_usage_hint
from dream.catalogue.detect.require import require_model

__all__ = [
    "DetectedModel",
    "Header",
    "TensorHeader",
    "classify",
    "detect",
    "get_usage_hint",
    "read_header",
    "require_model",
]
