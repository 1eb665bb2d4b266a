"""What every door calls: lines and requests become jobs of the session's queue.

A door translates between its clients and these functions; it decides nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request as HttpRequest

from dream.commands.line_runner import LineRunner
from dream.core.errors import BadLine
from dream.core.events import Event, Saved
from dream.core.request import Request
from dream.line import format_line
from dream.web.access import Access, WebOptions
from dream.web.admission import Admission
from dream.web.job import Job
from dream.web.job_table import JobTable
from dream.web.left_lines import LeftLines
from dream.web.picture_list import PictureList
from dream.web.refusal import Refusal, wait_before
from dream.web.upload import StoredUpload, store_upload

T = TypeVar("T")

MAX_OF_CLIENT = 32
"""Jobs of one client that wait or run; those of the page and of other doors count apart."""
MAX_OF_ALL = 256
"""Jobs of all clients."""
_MAX_DECODERS = _MAX_COMMANDS = 2
_MAX_UPLOADS = 4 << 30
"""Bytes that clients may upload while the server runs."""


class ClientGone(Exception):
    """The client has closed its connection."""


@dataclass
class WebServices:
    """One session, for all doors. Its methods are called in the server's event loop."""

    runner: LineRunner
    options: WebOptions
    left: LeftLines | None = None
    """What an earlier session left; None where the prompt offers it."""

    def __post_init__(self) -> None:
        self.session = self.runner.context.session
        self.queue = self.runner.queue
        self.pictures = PictureList(self.session.at_start.folder)
        self.admission = Admission(self.session, self.pictures)
        self.access = Access(self.options)
        self.jobs = JobTable(self.runner, self.write_event)
        self.decoders = CapacityLimiter(_MAX_DECODERS)
        """Of the threads that decode and encode images, which take much memory."""
        self.commands = CapacityLimiter(_MAX_COMMANDS)
        """Of the threads for what may take long: commands, searches, imports."""
        self._uploaded = 0

    # ── jobs ───────────────────────────────────────────────────────────────────────────────────

    async def submit_request(self, request: Request, owner: str, notes: Sequence[str] = ()) -> Job:
        """Queue a client's Request, admitted; it never becomes a line that is read. `notes` are
        shown when it begins. Raises BadLine and other DreamErrors for what cannot be made, Refusal
        for a client with too many jobs."""
        self.check_room(owner)
        return await to_thread.run_sync(self._submit, request, owner, notes)

    def _submit(self, request: Request, owner: str, notes: Sequence[str]) -> Job:
        admitted = self.admission.admit(request)
        self.admission.check_size(admitted)
        line = format_line(admitted)
        return self.jobs.submit(
            line,
            lambda: self.queue.put([line], admitted, notes, owner)[0],
            owner=owner,
            pictures=admitted.iterations,
        )

    def check_room(self, owner: str) -> None:
        """Raises Refusal (429) for a client with too many open jobs."""
        if self.jobs.count_open(owner) >= MAX_OF_CLIENT or self.jobs.count_open() >= MAX_OF_ALL:
            raise wait_before(5, "too many jobs are waiting")

    async def finish(self, job: Job, http: HttpRequest) -> Job:
        """Wait until a job is over. If the client disconnects, the job is cancelled, what is saved
        stays, and ClientGone is raised."""
        try:
            await self.while_connected(http, self.jobs.finish(job.number))
        except ClientGone:
            self.cancel(job.number)
            raise
        return job

    async def while_connected(self, http: HttpRequest, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`; it is cancelled and ClientGone raised if the client disconnects. The body
        must have been read."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_wait_for_disconnect(http))
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise ClientGone
        finally:
            for one in (task, gone):
                one.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await one

    def cancel(self, number: int) -> bool:
        """Cancel a job that waits or runs; whether there was one."""
        try:
            self.queue.cancel(number)
        except BadLine:
            return False
        return True

    def require_job(self, number: int) -> Job:
        """The job with this number. Raises Refusal (404)."""
        job = self.jobs.get(number)
        if job is None:
            raise Refusal(404, f"there is no job {number}")
        return job

    # ── images ─────────────────────────────────────────────────────────────────────────────────

    async def store_upload(self, data: bytes) -> StoredUpload:
        """Keep an image that a client sends in `inputs/`, named by its content; the name is a
        handle that requests may use for -I and the like. Raises InputError, GalleryError, and
        Refusal once clients have sent gigabytes."""
        if self._uploaded + len(data) > _MAX_UPLOADS:
            raise Refusal(507, "too many uploads", hint="restart dream to allow more")
        folder = self.pictures.folder
        stored = await to_thread.run_sync(store_upload, data, folder, limiter=self.decoders)
        self._uploaded += len(data)
        return stored

    async def handle_image(self, function: Callable[..., T], *arguments: object) -> T:
        """What a function answers that decodes or encodes images, in a thread."""
        return await to_thread.run_sync(function, *arguments, limiter=self.decoders)

    def name_of(self, path: Path) -> str:
        """The gallery's name of a saved image; empty if it is elsewhere."""
        try:
            return path.absolute().relative_to(self.pictures.folder.absolute()).as_posix()
        except ValueError:
            return ""

    def write_event(self, job: Job, event: Event) -> dict[str, Any]:
        """An event as the JSON that clients read: with its job, with names instead of paths."""
        body = event.to_json() | {"job": job.number}
        body.pop("request", None)
        if "path" in body:
            body["name"] = self.name_of(Path(body.pop("path")))
        if isinstance(event, Saved):
            body["seed"] = event.request.seed
        return body


def client_of(http: HttpRequest, door: str) -> str:
    """Who a request is from, for limits: its address at one door."""
    return f"{door} {http.client.host if http.client else ''}"


async def _wait_for_disconnect(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
