"""Computes the SHA-256 of a model's weights beside its first image."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from dream.catalogue.weight_files import WeightFiles, hash_weight_files

DIGEST_NICENESS = 10
"""Of the thread that computes a digest."""


def hash_weights_in_background(weights: WeightFiles) -> Future[str]:
    """The SHA-256 of weights, computed in a thread of its own."""
    pool = ThreadPoolExecutor(1, "weights-digest")
    try:
        return pool.submit(_digest, weights)
    finally:
        pool.shutdown(wait=False)


def _digest(weights: WeightFiles) -> str:
    """Runs at a lower priority than the image's own threads, on Linux."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), DIGEST_NICENESS)
    return hash_weight_files(weights)
