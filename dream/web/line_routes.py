"""Typed lines: checked, completed, edited, submitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from anyio import to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from dream.commands import run_line
from dream.commands.check_line import check_line
from dream.commands.completions import LineCompletions
from dream.core.errors import BadLine, DreamError
from dream.core.events import Event
from dream.core.request import FLAGS, Request
from dream.line import read_leniently
from dream.line.set_switch import set_switch
from dream.web.admission import MAX_PROMPT
from dream.web.line_admission import AdmittedLine, LineAdmission
from dream.web.picture_list import ListedFiles
from dream.web.read_body import read_json, take_integer, take_text
from dream.web.refusal import Refusal, explain, without_folders
from dream.web.services import WebServices, client_of
from dream.web.state import describe_job

_DOOR = "page"
_MAX_OFFERS = 60


class LineRoutes:
    """Typed lines."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._context = services.runner.context
        self._admission = LineAdmission(self._context, services.admission)
        finder = ListedFiles(services.pictures)
        self._completions = LineCompletions(self._context, finder)

    async def submit(self, http: HttpRequest) -> Response:
        """POST /api/lines {"line"}: 202 with a job, or 200 with what a command shows."""
        line = take_text(await read_json(http), "line")
        owner = client_of(http, _DOOR)
        self._services.check_room(owner)
        admitted = await to_thread.run_sync(self._admission.admit_line, line)
        if not admitted.queued:
            limiter = self._services.commands
            shown = await to_thread.run_sync(self._run_now, admitted, limiter=limiter)
            return JSONResponse({"events": shown})
        job = await to_thread.run_sync(self._put, admitted, owner)
        return JSONResponse(describe_job(self._services, job), 202)

    async def check(self, http: HttpRequest) -> Response:
        """POST /api/check {"line"}: what a line would make, or what is wrong with it."""
        line = take_text(await read_json(http), "line")
        return JSONResponse(await to_thread.run_sync(self._check, line))

    async def complete(self, http: HttpRequest) -> Response:
        """POST /api/complete {"line", "cursor"}: what may stand at the cursor."""
        body = await read_json(http)
        line = take_text(body, "line")
        cursor = max(0, min(take_integer(body, "cursor", len(line)), len(line)))
        if len(line) > MAX_PROMPT:
            raise Refusal(400, "the line is too long")
        return JSONResponse({"offers": await to_thread.run_sync(self._complete, line, cursor)})

    async def edit(self, http: HttpRequest) -> Response:
        """POST /api/edit {"line", "field", "value": ["20"] or null}: the line with that switch set,
        or without it."""
        body = await read_json(http)
        value = body.get("value")
        if value is not None and not (
            isinstance(value, list) and all(isinstance(word, str) for word in value)
        ):
            raise Refusal(400, "“value” has to be a list of texts, or null")
        line = set_switch(take_text(body, "line"), take_text(body, "field"), value)
        return JSONResponse({"line": line})

    async def decide_left(self, http: HttpRequest) -> Response:
        """POST /api/left {"run": true or false}: queue or discard what an earlier session left."""
        run = (await read_json(http)).get("run")
        if not isinstance(run, bool):
            raise Refusal(400, "“run” has to be true or false")
        body = await to_thread.run_sync(self._take_left, run, client_of(http, _DOOR))
        return JSONResponse(body)

    def _take_left(self, run: bool, owner: str) -> dict[str, Any]:
        left = self._services.left
        jobs, refused = [], []
        for line in left.take() if left else ():
            if not run:
                continue
            try:
                admitted = self._admission.admit_line(line)
                jobs.append(self._put(admitted, owner).number)
            except DreamError as error:
                refused.append({"line": line, "error": str(without_folders(error))})
        return {"jobs": jobs, "refused": refused}

    def _complete(self, line: str, cursor: int) -> list[dict[str, Any]]:
        offers = self._completions.complete_line(line, cursor)
        usable = (offer for offer in offers if self._admission.is_usable(offer.text))
        return [offer._asdict() for offer in islice(usable, _MAX_OFFERS)]

    def _check(self, line: str) -> dict[str, Any]:
        checked = self._judge(line)
        with suppress(DreamError):
            read = read_leniently(line, self._context.session.base)[0]
            checked["values"] = {
                name: words
                for name, words in _list_values(read)
                if name not in ("prompt", "outdir")
            }
        return checked

    def _judge(self, line: str) -> dict[str, Any]:
        if not line.strip():
            return {"text": "", "wrong": False}
        try:
            self._admission.admit_line(line)
        except DreamError as error:
            found = check_line(self._context, line) if _is_unread(error) else None
            if found is not None and found.column:
                return {"text": found.text, "wrong": found.wrong, "column": found.column}
            return {
                "text": explain(error).text,
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
            lambda: self._services.queue.put([admitted.line], owner=owner)[0],
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


def _list_values(request: Request) -> Iterator[tuple[str, list[str]]]:
    """What a line sets beside the built-in defaults, as the words of its switches."""
    for name, flag in FLAGS.items():
        value = getattr(request, name)
        if value != flag.default:
            yield name, flag.kind.write(value)
