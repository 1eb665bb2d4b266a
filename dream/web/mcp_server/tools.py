"""What the tools do: jobs of the session's queue, waited for, and described in text."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import anyio
from anyio import to_thread

from dream.commands import is_command
from dream.commands.model_text import describe_details, describe_family, get_active_model
from dream.core.errors import BadLine, DreamError
from dream.core.events import Note, Saved, Step
from dream.core.plain_text import remove_controls
from dream.core.request import Request
from dream.gallery.metadata import read_metadata
from dream.inputs import open_picture
from dream.line import parse_facts, parse_log_line
from dream.session.foreign_models import ModelLookup
from dream.session.image_prompts import read_image_line
from dream.web.job import Job
from dream.web.line_admission import LineAdmission
from dream.web.mcp_server.tool_requests import (
    ImageArguments,
    read_image_request,
    read_upscale_request,
    read_variation_request,
)
from dream.web.refusal import Refusal, without_folders
from dream.web.services import WebServices

PATIENCE = 45.0
"""Seconds that a call waits for a job: clients give up after 60."""
_PREVIEW_SIDE, _FULL_SIDE, _QUALITY = 512, 2048, 80
"""Pixels of a preview's longer side; more drowns a language model."""
MAX_FOUND = 50

PreviewSize = Literal["none", "small", "full"]
Report = Callable[[float, float, str], Awaitable[None]]
"""Tells the client how far a job is: steps done, of all, and a text."""
Answer = tuple[str, list[bytes]]
"""A text, and JPEGs."""


class Tools:
    """The tools of one server. Each raises DreamError or Refusal with a message for the model."""

    def __init__(self, services: WebServices, owner: str, start: Callable[[], None]) -> None:
        """`start` is called before a job is submitted."""
        self._services, self._session = services, services.session
        self._owner, self._start = owner, start
        context = services.runner.context
        self._lines = LineAdmission(context, services.admission)
        self._logged: dict[int, str] = {}
        """The recorded SHA-256 of the lines that are replayed, by job."""

    async def generate(
        self, arguments: ImageArguments, preview: PreviewSize, report: Report
    ) -> Answer:
        """Make images from words."""
        request = await to_thread.run_sync(read_image_request, self._session, arguments)
        return await self._make(request, preview, report)

    async def vary(
        self, picture: str, amount: float, count: int, preview: PreviewSize, report: Report
    ) -> Answer:
        """Make images that are similar to one that dream made."""
        path = await self._find(picture)
        request = await to_thread.run_sync(
            read_variation_request, self._session, path, amount, count
        )
        return await self._make(request, preview, report)

    async def upscale(
        self, picture: str, factor: float, preview: PreviewSize, report: Report
    ) -> Answer:
        """Make an image larger."""
        request = read_upscale_request(self._session, picture, factor)
        return await self._make(request, preview, report)

    async def replay(self, line: str, preview: PreviewSize, report: Report) -> Answer:
        """Make a logged image again, and compare it with its record."""
        if is_command(line.strip()):
            raise BadLine("this is a command, not the line of an image")
        self._services.check_room(self._owner)
        admitted = await to_thread.run_sync(self._lines.admit_line, line)
        self._start()
        job = self._services.jobs.submit(
            line,
            lambda: self._services.queue.put([line], owner=self._owner)[0],
            owner=self._owner,
            pictures=admitted.pictures,
        )
        self._logged[job.number] = parse_facts(parse_log_line(line).comment).get("sha256", "")
        return await self._follow(job, preview, report)

    async def wait(self, number: int, preview: PreviewSize, report: Report) -> Answer:
        """Wait for a job, as the tool that began it did."""
        return await self._follow(self._services.require_job(number), preview, report)

    def cancel(self, number: int) -> str:
        """Cancel a job."""
        job = self._services.require_job(number)
        if job.owner != self._owner:
            raise Refusal(403, f"job {number} is not one of yours")
        self._services.cancel(number)
        return f"job {number} is cancelled; its finished images are kept"

    def find(self, words: str, most: int) -> str:
        """Search the log."""
        from dream.session.picture_index import PictureIndex

        with PictureIndex(self._services.pictures.folder, self._lookup) as index:
            for _ in index.update():
                pass
            found = list(index.find(words.split(), limit=max(1, min(most, MAX_FOUND))))
        rows = [f"{one.name}: {one.line}" for one in found if one.time]
        return "\n".join(map(remove_controls, rows)) or "no image matches"

    def describe_picture(self, picture: str) -> str:
        """How an image was made."""
        path = Path(self._services.admission.find_image(picture))
        found = read_metadata(path)
        rows = [
            f"path: {path.absolute()}",
            f"format: {found.format}, {found.width}x{found.height}, {found.size:,} bytes",
        ]
        if found.has_record or found.grid:
            line, notes = read_image_line(path, self._lookup)
            rows += [f"line: {line}", *(f"note: {note}" for note in notes)]
        rows += [f"{name}: {fact}" for name, fact in found.record.facts.items()]
        if found.record.sha256:
            rows.append(f"sha256 of the pixels: {found.record.sha256}")
        return "\n".join(map(remove_controls, rows))

    def list_models(self) -> str:
        """The models by name."""
        active = get_active_model(self._session)
        rows = []
        for info in self._session.registry.list_models():
            mark = " (used by default)" if info.name == active else ""
            about = f"{describe_family(info)}, {info.width}x{info.height}, {info.steps} steps"
            details = describe_details(info)
            rows.append(f"{info.name}{mark}: {about}{f'; {details}' if details else ''}")
        return "\n".join(map(remove_controls, rows)) or "there is no model"

    async def read(self, function: Callable[..., str], *arguments: object) -> str:
        """What one of the methods above answers, in a thread: a search may take long."""
        return await to_thread.run_sync(function, *arguments, limiter=self._services.commands)

    async def _make(self, request: Request, preview: PreviewSize, report: Report) -> Answer:
        self._start()
        job = await self._services.submit_request(request, self._owner)
        return await self._follow(job, preview, report)

    async def _find(self, picture: str) -> Path:
        return Path(await to_thread.run_sync(self._services.admission.find_image, picture))

    async def _follow(self, job: Job, preview: PreviewSize, report: Report) -> Answer:
        """Wait until a job is over, but not longer than a client does. A client that cancels its
        call cancels the job."""
        try:
            with anyio.move_on_after(PATIENCE):
                async for event in self._services.jobs.follow(job.number):
                    if isinstance(event, Step):
                        await report(*_measure(event))
        except asyncio.CancelledError:
            self._services.cancel(job.number)
            raise
        text = await to_thread.run_sync(self._describe_job, job)
        saved = [one for one in job.saved if preview != "none"]
        side = _FULL_SIDE if preview == "full" else _PREVIEW_SIDE
        images = [await self._services.handle_image(_make_jpeg, one.path, side) for one in saved]
        return text, images

    def _describe_job(self, job: Job) -> str:
        """Raises the job's error if it made nothing."""
        if job.is_over and job.error is not None and not job.saved:
            raise job.error
        rows = [self._describe_saved(job, one) for one in job.saved]
        rows += [f"note: {event.text}" for event in job.events if isinstance(event, Note)]
        if job.error is not None:
            rows.append(f"error: {job.error}")
        if not job.is_over:
            rows.append(_describe_unfinished(job))
        elif not job.saved:
            rows.append(f"job {job.number} was cancelled before it made an image")
        return "\n".join(rows)

    def _describe_saved(self, job: Job, saved: Saved) -> str:
        rows = [
            f"picture: {self._services.name_of(saved.path) or saved.path.name}",
            f"path: {saved.path.absolute()}",
            f"line: {saved.line}",
            f"sha256 of the pixels: {saved.sha256}",
            f"seed: {saved.request.seed}",
        ]
        if recorded := self._logged.get(job.number, ""):
            same = saved.sha256.startswith(recorded)
            rows.append(f"the same pixels as logged: {'yes' if same else 'no'}")
        return "\n".join(map(remove_controls, rows))

    @property
    def _lookup(self) -> ModelLookup:
        return ModelLookup(self._session.registry)


def _measure(step: Step) -> tuple[float, float, str]:
    done = (step.picture - 1) * step.steps + step.step
    text = f"image {step.picture} of {step.pictures}: {step.stage} {step.step}/{step.steps}"
    return float(done), float(max(step.steps * step.pictures, done)), text


def _describe_unfinished(job: Job) -> str:
    at = "it waits for earlier jobs"
    if (step := job.step) is not None:
        at = f"image {step.picture} of {step.pictures}, step {step.step}/{step.steps}"
    return f"job {job.number} is not finished ({at}): call wait with job={job.number}"


def _make_jpeg(path: Path, side: int) -> bytes:
    """A JPEG with a longer side of at most this many pixels. Raises InputError."""
    image = open_picture(path).image
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def explain_to_model(error: DreamError | Refusal) -> str:
    """An error as text for a language model."""
    return error.text if isinstance(error, Refusal) else str(without_folders(error))
