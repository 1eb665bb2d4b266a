"""Explains a worker's long silence: whether it is stopped, busy or waiting, and what helps.

A step of a large model on a small machine takes half a minute, and a model from a slow disk takes
minutes to load, so silence alone does not count as death; it is only reported.
"""

from __future__ import annotations

import time
from contextlib import suppress

POLL_INTERVAL = 5.0
"""Seconds of silence between two checks whether the process was stopped."""
SILENCE_LIMIT = 60.0
"""Seconds of silence that are reported in any case, and again each time they have doubled."""


class StallDetector:
    """Measures the time since the worker's last message. `check` is called every `POLL_INTERVAL`
    seconds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.monotonic()
        self._due = SILENCE_LIMIT
        self._worked: float | None = None
        self._stopped = False

    def check(self) -> str:
        """A sentence for the user; mostly empty."""
        if is_stopped(self._pid):
            before, self._stopped = self._stopped, True
            helps = f"kill -CONT {self._pid} resumes it, Ctrl-C cancels the image"
            return "" if before else f"the worker is stopped; {helps}"
        self._stopped = False
        if self._worked is None:
            self._worked = measure_processor_time(self._pid)
        silent = time.monotonic() - self._began
        if silent < self._due:
            return ""
        self._due = 2 * silent
        worked, self._worked = self._worked, measure_processor_time(self._pid)
        does = "busy" if self._worked > worked else "waiting for the disk"
        state = f"the worker is {does if self._worked else 'running'}"
        return f"no step for {silent / 60:.0f} min; {state}, Ctrl-C cancels the image"


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped (SIGSTOP, Ctrl-Z, a debugger). False where the system does not
    tell."""
    import psutil  # imported only after a long wait

    with suppress(psutil.Error):
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return False


def measure_processor_time(pid: int) -> float:
    """Seconds of processor time the process has used; 0 where the system does not tell."""
    import psutil

    with suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return 0.0
