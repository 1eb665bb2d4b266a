"""Unexpected exceptions: one line for the user, and the traceback in a file."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from platformdirs import user_log_path

import dream
from dream.core.errors import DreamError, EngineError, SetupError
from dream.engine.import_errors import explain_import_error


def to_dream_error(error: Exception) -> DreamError:
    """The error as one that can be shown and sent: unchanged if it is a DreamError, a SetupError if
    a package is missing or broken, else an EngineError that names a crash file."""
    if isinstance(error, DreamError):
        return error
    if (advice := explain_import_error(error)) is not None:
        return SetupError(advice)
    first = (str(error).strip().splitlines() or [""])[0]
    return EngineError(
        f"{type(error).__name__}: {first}" if first else type(error).__name__,
        f"the traceback is in {write_crash_file(error)}",
    )


def write_crash_file(error: BaseException) -> Path:
    """Write the traceback to a new file in the user's log folder, or to a temporary file. Returns
    its path."""
    text = "".join(traceback.format_exception(error))
    head = f"dream {dream.__version__}, Python {sys.version}\n\n"
    name = time.strftime("dream-crash-%Y%m%d-%H%M%S-")
    try:
        folder = user_log_path("dream", appauthor=False, ensure_exists=True)
        handle, path = tempfile.mkstemp(".txt", name, folder)
    except OSError:
        handle, path = tempfile.mkstemp(".txt", name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(head + text)
    return Path(path)
