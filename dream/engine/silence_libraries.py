"""Silences the libraries: no progress bars, no warnings on the user's screen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import diffusers.utils.logging
import transformers.utils.logging

LOGGERS = (diffusers.utils.logging, transformers.utils.logging)


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Silence diffusers, transformers and Python warnings; restored afterwards."""
    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in LOGGERS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for log in LOGGERS:
                log.set_verbosity(log.CRITICAL)
                log.disable_progress_bar()
            yield
        finally:
            for log, verbosity, bars in before:
                log.set_verbosity(verbosity)
                if bars:
                    log.enable_progress_bar()
