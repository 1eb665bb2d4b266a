"""The door of OpenAI's API: /v1/images and /v1/models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dream.web.client_values import decode_base64, format_notes, list_notes
from dream.web.door import Door
from dream.web.guard import to_refusal
from dream.web.openai_api.image_stream import ImageStream
from dream.web.openai_api.read_images import (
    ModelNotFound,
    WantedImages,
    read_edit,
    read_generation,
    read_variation,
)
from dream.web.openai_api.write_images import (
    NO_RETRY,
    describe_model,
    describe_models,
    format_error,
    write_images,
)
from dream.web.own_images import read_own_request
from dream.web.read_body import read_form, read_json
from dream.web.refusal import Refusal
from dream.web.services import ClientGone, WebServices, client_of
from dream.web.upload import StoredUpload

_DOOR = "openai"
_MOST_IMAGES = 16
"""Of one edit; more are not kept."""
Answer = Callable[[HttpRequest], Awaitable[Response]]


def open_openai_door(services: WebServices) -> Door:
    """The door for OpenAI's clients."""
    routes = OpenaiRoutes(services)
    posts = {
        "generations": routes.generate,
        "edits": routes.edit,
        "variations": routes.vary,
    }
    return Door(
        ("/v1/",),
        [
            *(
                Route(f"/v1/images/{name}", once(answer), methods=["POST"])
                for name, answer in posts.items()
            ),
            Route("/v1/models", routes.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", routes.get_model, methods=["GET"]),
        ],
        format_error,
    )


def once(answer: Answer) -> Answer:
    """The endpoint, whose errors tell clients not to send the same request again; unless they are
    to wait."""

    async def answer_once(http: HttpRequest) -> Response:
        try:
            return await answer(http)
        except ClientGone:
            raise
        except Exception as error:
            refusal = to_refusal(error)
            if refusal.status != 429:
                refusal.headers.update(NO_RETRY)
            raise refusal from error

    return answer_once


@dataclass
class SentForm:
    """A body in either form: fields, and files by field."""

    fields: Mapping[str, Any]
    images: list[bytes] = field(default_factory=list)
    mask: bytes | None = None


class OpenaiRoutes:
    """The endpoints."""

    def __init__(self, services: WebServices) -> None:
        self._services, self._session = services, services.session

    async def generate(self, http: HttpRequest) -> Response:
        """POST /v1/images/generations."""
        body = await read_json(http)
        wanted = await to_thread.run_sync(read_generation, self._session, body)
        return await self._make(wanted, "image_generation", http)

    async def edit(self, http: HttpRequest) -> Response:
        """POST /v1/images/edits."""
        sent = await _read_sent(http)
        images = [await self._store_first(sent)]
        images += [await self._services.store_upload(data) for data in sent.images[1:_MOST_IMAGES]]
        mask = ""
        if sent.mask is not None:
            mask = (await self._services.store_upload(sent.mask)).name
        names = [image.name for image in images]
        wanted = await to_thread.run_sync(read_edit, self._session, sent.fields, names, mask)
        return await self._make(wanted, "image_edit", http)

    async def vary(self, http: HttpRequest) -> Response:
        """POST /v1/images/variations."""
        sent = await _read_sent(http)
        image = await self._store_first(sent)
        own = await to_thread.run_sync(read_own_request, image.path)
        wanted = await to_thread.run_sync(
            read_variation, self._session, sent.fields, image.name, own
        )
        return await self._make(wanted, "image_edit", http)

    async def list_models(self, http: HttpRequest) -> Response:
        """GET /v1/models."""
        rows = await to_thread.run_sync(describe_models, self._session)
        return JSONResponse({"object": "list", "data": rows})

    async def get_model(self, http: HttpRequest) -> Response:
        """GET /v1/models/NAME."""
        name = http.path_params["name"]
        names = await to_thread.run_sync(self._session.registry.list_names)
        if name not in names:
            raise ModelNotFound(name)
        return JSONResponse(describe_model(name))

    async def _make(self, wanted: WantedImages, kind: str, http: HttpRequest) -> Response:
        owner = client_of(http, _DOOR)
        job = await self._services.submit_request(wanted.request, owner, wanted.notes)
        if wanted.streams:
            stream = ImageStream(self._services, job, wanted, kind, http)
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            headers |= format_notes(wanted.notes)
            return StreamingResponse(
                stream.write(), media_type="text/event-stream", headers=headers
            )
        await self._services.finish(job, http)
        if not job.saved:
            raise job.error or Refusal(409, "the image was cancelled")
        notes = list_notes(job)
        if job.error is not None:
            notes.append(job.error.message)
        saved = list(job.saved)
        body = await self._services.handle_image(write_images, self._services, wanted, saved, http)
        return JSONResponse(body, headers=format_notes(notes))

    async def _store_first(self, sent: SentForm) -> StoredUpload:
        if not sent.images:
            raise Refusal(400, "“image” is missing")
        return await self._services.store_upload(sent.images[0])


async def _read_sent(http: HttpRequest) -> SentForm:
    """The body of a call with images: a form, whose fields may come in any order; or JSON with
    images in base64. Raises Refusal."""
    if http.headers.get("content-type", "").startswith("multipart/"):
        form = await read_form(http)
        try:
            return await _read_form_fields(form)
        finally:
            await form.close()
    body = await read_json(http)
    found = body.get("images", body.get("image"))
    images = found if isinstance(found, list) else [] if found is None else [found]
    mask = body.get("mask")
    return SentForm(
        {name: value for name, value in body.items() if name not in ("image", "images", "mask")},
        [_decode(image, "image") for image in images],
        None if mask is None else _decode(mask, "mask"),
    )


async def _read_form_fields(form: FormData) -> SentForm:
    sent = SentForm({name: value for name, value in form.items() if isinstance(value, str)})
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            continue
        if name in ("image", "image[]"):
            sent.images.append(await value.read())
        elif name == "mask":
            sent.mask = await value.read()
    return sent


def _decode(image: object, name: str) -> bytes:
    """An image in JSON: base64, or `{"image_url": "data:…"}`. Raises Refusal."""
    value = image.get("image_url") or image.get("b64_json") if isinstance(image, dict) else image
    if isinstance(value, dict):
        value = value.get("url")
    if not isinstance(value, str):
        raise Refusal(400, f"“{name}” has to be an image in base64")
    return decode_base64(value, name)
