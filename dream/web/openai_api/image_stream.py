"""Sends images as they are made: server-sent events of OpenAI's API."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.requests import Request as HttpRequest

from dream.core.errors import DreamError
from dream.core.events import Event, LineStarted, Preview, Saved, Step
from dream.web.job import Job
from dream.web.openai_api.read_images import WantedImages
from dream.web.openai_api.write_images import USAGE, encode_file, format_error
from dream.web.refusal import Refusal, explain
from dream.web.services import WebServices

_HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent, so that proxies keep the connection."""
_FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


class ImageStream:
    """The events of one job. `kind` is "image_generation" or "image_edit"."""

    def __init__(
        self, services: WebServices, job: Job, wanted: WantedImages, kind: str, http: HttpRequest
    ) -> None:
        self._services, self._job, self._wanted, self._kind = services, job, wanted, kind
        self._http = http
        self._sent, self._picture = 0, 0
        self._size: tuple[int, int] | None = None

    async def write(self) -> AsyncIterator[str]:
        """The text of the stream. A client that leaves cancels the job."""
        events = self._services.jobs.follow(self._job.number)
        coming: asyncio.Future[Event] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(events))
                done, _ = await asyncio.wait((coming,), timeout=_HEARTBEAT)
                if not done:
                    yield ": \n\n"
                    continue
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    break
                finally:
                    coming = None
                for body in await self._services.handle_image(self._describe, event):
                    yield _format(body)
            if not self._job.saved or self._job.error is not None:
                yield _format(self._describe_failure())
        finally:
            if coming is not None:
                coming.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await coming
            if not self._job.is_over:
                self._services.cancel(self._job.number)

    def _describe(self, event: Event) -> list[dict[str, Any]]:
        match event:
            case LineStarted(request=request) if request.width and request.height:
                self._size = (request.width, request.height)
            case Step(stage="render", preview=Preview() as preview):
                return self._describe_preview(event, preview)
            case Saved():
                self._sent, self._picture = 0, self._picture + 1
                return [self._describe_saved(event)]
        return []

    def _describe_preview(self, step: Step, preview: Preview) -> list[dict[str, Any]]:
        """An unfinished image, evenly spaced over the steps."""
        parts = self._wanted.partial_images
        if self._sent >= parts or step.step * (parts + 1) < step.steps * (self._sent + 1):
            return []
        self._sent += 1
        size = self._size or (preview.width * 8, preview.height * 8)
        return [
            self._describe_image("partial_image", _encode(preview, size, self._wanted.format), size)
            | {"partial_image_index": self._sent - 1}
        ]

    def _describe_saved(self, saved: Saved) -> dict[str, Any]:
        size = saved.request.width or 0, saved.request.height or 0
        body = self._describe_image("completed", encode_file(saved), size)
        return body | {"usage": dict(USAGE), "revised_prompt": saved.line}

    def _describe_image(self, name: str, encoded: str, size: tuple[int, int]) -> dict[str, Any]:
        return {
            "type": f"{self._kind}.{name}",
            "b64_json": encoded,
            "created_at": int(time.time()),
            "size": f"{size[0]}x{size[1]}",
            "quality": "auto",
            "background": "opaque",
            "output_format": self._wanted.format,
        }

    def _describe_failure(self) -> dict[str, Any]:
        error = self._job.error
        refusal = Refusal(409, "the image was cancelled")
        if isinstance(error, DreamError):
            refusal = explain(error)
        return {"type": "error", **format_error(refusal)}


def _format(body: dict[str, Any]) -> str:
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n"


def _encode(preview: Preview, size: tuple[int, int], format_name: str) -> str:
    from PIL import Image

    image = Image.frombytes("RGB", (preview.width, preview.height), preview.rgb).resize(size)
    out = io.BytesIO()
    image.save(out, _FORMATS[format_name])
    return base64.b64encode(out.getvalue()).decode()
