"""Server-sent events: what happens to all jobs, from where a client stopped reading."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from dream.core.events import Step
from dream.web.services import WebServices

_HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent, so that proxies keep the connection."""


def stream_events(services: WebServices, http: HttpRequest) -> Response:
    """Answer `GET /api/events`. `Last-Event-ID` is RUN-NUMBER; without it, or if events were
    forgotten meanwhile, `reset` comes first: read the state again."""
    last = http.headers.get("last-event-id", "") or http.query_params.get("after", "")
    return StreamingResponse(
        _write_while_reading(services, last),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _write_while_reading(services: WebServices, last: str) -> AsyncIterator[str]:
    with services.jobs.reading_steps():
        async for text in _write_events(services, last):
            yield text


async def _write_events(services: WebServices, last: str) -> AsyncIterator[str]:
    jobs = services.jobs
    run, _, number = last.partition("-")
    known = run == jobs.run and number.isascii() and number.isdecimal() and len(number) < 16
    at = int(number) if known else jobs.last_id
    if not known:
        yield _format({"event": "reset"}, f"{jobs.run}-{at}")
    steps: dict[int, Step | None] = {}
    while not jobs.is_closed:
        waiting = jobs.expect_change()
        events = jobs.events_after(at)
        if events is None:
            at = jobs.last_id
            yield _format({"event": "reset"}, f"{jobs.run}-{at}")
            continue
        for at, event in events:
            yield _format(event, f"{jobs.run}-{at}")
        running = {job.number: job.step for job in jobs.running}
        for number_of_job, step in running.items():
            if step is not None and step is not steps.get(number_of_job):
                yield _format(describe_step(number_of_job, step))
        steps = running
        if not await waiting(_HEARTBEAT):
            yield ": \n\n"


def describe_step(job: int, step: Step) -> dict[str, Any]:
    """A step for clients. Its preview is at `/api/jobs/N/preview`."""
    return step.to_json() | {"job": job, "preview": step.preview is not None}


def _format(event: dict[str, Any], event_id: str = "") -> str:
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}data: {json.dumps(event)}\n\n"
