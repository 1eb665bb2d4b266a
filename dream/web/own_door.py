"""Our own API, documented in docs/api.md: lines, jobs, events, uploads, images, state."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import dream
from dream.core.errors import BadLine
from dream.web.door import Door
from dream.web.event_stream import stream_events
from dream.web.line_routes import LineRoutes
from dream.web.page_door import PageRoutes
from dream.web.picture_routes import PictureRoutes
from dream.web.read_body import read_json, take_integer
from dream.web.refusal import Refusal
from dream.web.services import WebServices
from dream.web.state import StateWriter, describe_job, encode_preview


def open_own_door(services: WebServices) -> Door:
    """The door of our own page and API."""
    lines, jobs, pictures = LineRoutes(services), JobRoutes(services), PictureRoutes(services)
    routes = [
        Route("/health", get_health),
        Route("/api/state", jobs.get_state),
        Route("/api/models", jobs.get_models),
        Route("/api/switches", jobs.get_switches),
        Route("/api/events", jobs.get_events),
        Route("/api/jobs", jobs.list_jobs),
        Route("/api/jobs/{number:int}", jobs.get_job, methods=["GET"]),
        Route("/api/jobs/{number:int}", jobs.cancel_job, methods=["DELETE"]),
        Route("/api/jobs/{number:int}/place", jobs.move_job, methods=["POST"]),
        Route("/api/jobs/{number:int}/preview", jobs.get_preview),
        Route("/api/pause", jobs.pause, methods=["POST"]),
        Route("/api/link", jobs.make_link, methods=["POST"]),
        Route("/api/lines", lines.submit, methods=["POST"]),
        Route("/api/check", lines.check, methods=["POST"]),
        Route("/api/complete", lines.complete, methods=["POST"]),
        Route("/api/left", lines.decide_left, methods=["POST"]),
        Route("/api/edit", lines.edit, methods=["POST"]),
        *pictures.list_routes(),
        *PageRoutes().list_routes(),
    ]
    return Door(("/",), routes)


async def get_health(http: HttpRequest) -> Response:
    """GET /health: the server answers. Needs no token."""
    return JSONResponse({"status": "ok", "version": dream.__version__})


class JobRoutes:
    """The queue, its jobs, and the session."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._state = StateWriter(services)

    async def get_state(self, http: HttpRequest) -> Response:
        """GET /api/state: all that a page shows, and the id of the last event."""
        return _no_store(await to_thread.run_sync(self._state.describe))

    async def get_models(self, http: HttpRequest) -> Response:
        """GET /api/models: models, VAEs, upscalers, LoRAs, embeddings by name."""
        return _no_store(await to_thread.run_sync(self._state.describe_models))

    async def get_switches(self, http: HttpRequest) -> Response:
        """GET /api/switches: the table of switches."""
        return JSONResponse(self._state.describe_switches())

    async def get_events(self, http: HttpRequest) -> Response:
        """GET /api/events: server-sent events."""
        return stream_events(self._services, http)

    async def list_jobs(self, http: HttpRequest) -> Response:
        """GET /api/jobs: the running, the waiting, and the latest finished jobs."""
        return _no_store(await to_thread.run_sync(self._state.describe_jobs))

    async def get_job(self, http: HttpRequest) -> Response:
        """GET /api/jobs/N."""
        job = self._services.require_job(http.path_params["number"])
        return _no_store(describe_job(self._services, job))

    async def cancel_job(self, http: HttpRequest) -> Response:
        """DELETE /api/jobs/N: cancel it, if it is not over."""
        job = self._services.require_job(http.path_params["number"])
        await to_thread.run_sync(self._services.cancel, job.number)
        return JSONResponse(describe_job(self._services, job))

    async def move_job(self, http: HttpRequest) -> Response:
        """POST /api/jobs/N/place {"place"}: move it among the waiting jobs, 0 is the next."""
        place = take_integer(await read_json(http), "place")
        number = http.path_params["number"]
        try:
            self._services.queue.move(number, place)
        except BadLine:
            raise Refusal(409, f"job {number} is not waiting") from None
        return JSONResponse(self._state.describe_jobs())

    async def get_preview(self, http: HttpRequest) -> Response:
        """GET /api/jobs/N/preview: the unfinished image, small, as PNG."""
        job = self._services.require_job(http.path_params["number"])
        if (preview := job.preview) is None:
            raise Refusal(404, "there is no preview")
        data = await to_thread.run_sync(encode_preview, preview)
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    async def pause(self, http: HttpRequest) -> Response:
        """POST /api/pause {"paused": true}: start no further jobs, or go on."""
        paused = (await read_json(http)).get("paused")
        if not isinstance(paused, bool):
            raise Refusal(400, "“paused” has to be true or false")
        queue = self._services.queue
        (queue.pause if paused else queue.resume)()
        return JSONResponse({"paused": queue.paused})

    async def make_link(self, http: HttpRequest) -> Response:
        """POST /api/link: a path that opens the page once in another browser."""
        if not self._services.access.needs_token:
            return JSONResponse({"path": "/"})
        return _no_store({"path": f"/?once={self._services.access.make_link()}"})


def _no_store(body: Any) -> Response:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})
