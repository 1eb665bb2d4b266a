"""Our own API, documented in docs/api.md: lines, jobs, events, uploads, images, state."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import dream
from dream.commands import run_line
from dream.commands.check_line import check_line
from dream.core.errors import BadLine, DreamError
from dream.core.events import Event
from dream.web.door import Door
from dream.web.event_stream import stream_events
from dream.web.line_admission import AdmittedLine, LineAdmission
from dream.web.picture_routes import PictureRoutes
from dream.web.read_body import read_json, take_integer, take_text
from dream.web.refusal import Refusal
from dream.web.services import WebServices, client_of
from dream.web.state import StateWriter, describe_job, encode_preview

_DOOR = "page"


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
        *pictures.list_routes(),
    ]
    return Door(("/",), routes)


async def get_health(http: HttpRequest) -> Response:
    """GET /health: the server answers. Needs no token."""
    return JSONResponse({"status": "ok", "version": dream.__version__})


class LineRoutes:
    """Typed lines."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._context = services.runner.context
        self._admission = LineAdmission(self._context, services.admission)

    async def submit(self, http: HttpRequest) -> Response:
        """POST /api/lines {"line"}: 202 with a job, or 200 with what a command shows."""
        line = take_text(await read_json(http), "line")
        owner = client_of(http, _DOOR)
        self._services.check_room(owner)
        admitted = await to_thread.run_sync(self._admission.admit_line, line)
        if not admitted.queued:
            shown = await to_thread.run_sync(self._run_now, admitted)
            return JSONResponse({"events": shown})
        job = await to_thread.run_sync(self._put, admitted, owner)
        return JSONResponse(describe_job(self._services, job), 202)

    async def check(self, http: HttpRequest) -> Response:
        """POST /api/check {"line"}: what a line would make, or what is wrong with it."""
        line = take_text(await read_json(http), "line")
        return JSONResponse(await to_thread.run_sync(self._check, line))

    def _check(self, line: str) -> dict[str, Any]:
        if not line.strip():
            return {"text": "", "wrong": False}
        try:
            self._admission.admit_line(line)
        except DreamError as error:
            found = check_line(self._context, line) if _is_unread(error) else None
            if found is not None and found.column:
                return {"text": found.text, "wrong": found.wrong, "column": found.column}
            return {
                "text": f"{error.message} ({error.hint})" if error.hint else error.message,
                "wrong": True,
                "column": getattr(error, "column", 0),
            }
        checked = check_line(self._context, line)
        if checked is None:
            return {"text": "", "wrong": False}
        return {"text": checked.text, "wrong": checked.wrong, "column": checked.column}

    def _put(self, admitted: AdmittedLine, owner: str) -> Any:
        return self._services.jobs.submit(
            admitted.line,
            lambda: self._services.queue.put([admitted.line])[0],
            owner=owner,
            pictures=admitted.pictures,
        )

    def _run_now(self, admitted: AdmittedLine) -> list[dict[str, Any]]:
        events = run_line(self._context, admitted.line, turn=False)
        return [_describe(event) for event in events]


def _is_unread(error: DreamError) -> bool:
    """Whether the line could not be read, so that looking at it again opens no file."""
    return isinstance(error, BadLine) and error.column > 0


def _describe(event: Event) -> dict[str, Any]:
    return event.to_json()


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
