"""The calls that are being made for clients of AUTOMATIC1111's API, and how far they are."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request as HttpRequest

from dream.web.client_values import list_notes
from dream.web.job import Job, JobState
from dream.web.refusal import Refusal
from dream.web.sdapi.read_wanted import WantedCall
from dream.web.services import WebServices, client_of
from dream.web.state import encode_preview

_DOOR = "sdapi"
_STARTED = 0.01
"""The progress of a call that has begun, as in AUTOMATIC1111; exactly 0 means idle."""


@dataclass
class SdapiCall:
    """One POST that makes images, one job for each."""

    count: int
    task: str = ""
    stamp: str = field(default_factory=lambda: time.strftime("%Y%m%d%H%M%S"))
    began: float = field(default_factory=time.monotonic)
    jobs: list[Job] = field(default_factory=list)
    """Those begun, the last one may still run."""
    is_interrupted: bool = False
    is_skipped: bool = False

    @property
    def job(self) -> Job | None:
        """The latest job."""
        return self.jobs[-1] if self.jobs else None

    @property
    def finished(self) -> list[Job]:
        """The jobs with an image."""
        return [job for job in self.jobs if job.saved]

    @property
    def progress(self) -> float:
        """Above 0, up to 1."""
        job = self.job
        step = job.step if job is not None else None
        done = max(0, len(self.jobs) - 1) / self.count
        if step is not None and step.steps:
            done += step.step / step.steps / self.count
        return min(1.0, _STARTED + done)


class SdapiCalls:
    """All calls of this API. Used in the event loop only."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._calls: list[SdapiCall] = []

    @property
    def current(self) -> SdapiCall | None:
        """The call whose job runs; else the one that came first."""
        running = self._services.jobs.running
        for call in self._calls:
            if call.job in running:
                return call
        return self._calls[0] if self._calls else None

    async def make(self, call: SdapiCall, wanted: WantedCall, http: HttpRequest) -> list[str]:
        """Make all images of a call, one after the other; notes about them. A client that leaves
        ends it. Raises what the first image raises, if there is none."""
        owner, notes = client_of(http, _DOOR), list(wanted.notes)
        with self.during(call):
            for index in range(wanted.count):
                if call.is_interrupted:
                    break
                job = await self._services.submit_request(
                    wanted.request_of(index), owner, () if index else wanted.notes
                )
                call.jobs.append(job)
                if call.is_interrupted or call.is_skipped:  # while the job was being submitted
                    self._cancel(call)
                await self._services.finish(job, http)
                notes += list_notes(job)
                if job.error is not None and not call.finished:
                    raise job.error
                if job.error is not None:
                    notes.append(f"image {index + 1} failed: {job.error.message}")
                if job.state is JobState.CANCELLED and not call.is_skipped:
                    call.is_interrupted = True
                call.is_skipped = False
        return notes

    @contextmanager
    def during(self, call: SdapiCall) -> Iterator[None]:
        """In the block, the call shows in the progress and can be interrupted."""
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)

    def interrupt(self) -> None:
        """End the running call of this API; its finished images are answered. Lines of the prompt
        and of others go on."""
        if (call := self.current) is not None:
            call.is_interrupted = True
            self._cancel(call)

    def skip(self) -> None:
        """End the image being made; the call goes on with the next."""
        if (call := self.current) is not None:
            call.is_skipped = True
            self._cancel(call)

    def describe(self, *, image: bool) -> dict[str, Any]:
        """The answer of GET progress; `image` says whether the unfinished image is sent."""
        call = self.current
        if call is None:
            return {
                "progress": 0.0,
                "eta_relative": 0.0,
                "state": _describe_state(None),
                "current_image": None,
                "textinfo": None,
                "current_task": None,
            }
        preview = call.job.preview if image and call.job is not None else None
        shown = base64.b64encode(encode_preview(preview)).decode() if preview is not None else None
        passed = time.monotonic() - call.began
        return {
            "progress": call.progress,
            "eta_relative": passed / call.progress - passed,
            "state": _describe_state(call),
            "current_image": shown,
            "textinfo": None,
            "current_task": call.task or None,
        }

    def _cancel(self, call: SdapiCall) -> None:
        if call.job is not None and not call.job.is_over:
            self._services.cancel(call.job.number)


def _describe_state(call: SdapiCall | None) -> dict[str, Any]:
    step = call.job.step if call is not None and call.job is not None else None
    return {
        "skipped": call.is_skipped if call else False,
        "interrupted": call.is_interrupted if call else False,
        "stopping_generation": False,
        "job": (call.task or "scripts_txt2img") if call else "",
        "job_count": call.count if call else 0,
        "job_timestamp": call.stamp if call else time.strftime("%Y%m%d%H%M%S"),
        "job_no": max(0, len(call.jobs) - 1) if call else 0,
        "sampling_step": step.step if step else 0,
        "sampling_steps": step.steps if step else 0,
    }


def require_saved(call: SdapiCall) -> Job:
    """The job of the only image of a call. Raises Refusal if it was cancelled."""
    if not call.finished:
        raise Refusal(409, "the image was cancelled")
    return call.finished[0]
