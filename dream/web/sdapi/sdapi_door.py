"""The door of AUTOMATIC1111's API: the paths below /sdapi/v1.

Everything is answered with JSON and 200, `null` where there is nothing to say, because clients read
the body of each answer.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dream.web.client_values import ClientValues, decode_base64, format_notes
from dream.web.door import Door
from dream.web.read_body import read_json
from dream.web.refusal import Refusal
from dream.web.sdapi.answers import read_base64, write_images_answer
from dream.web.sdapi.calls import SdapiCall, SdapiCalls, require_saved
from dream.web.sdapi.extras import (
    WantedUpscale,
    crop_to_size,
    describe_png,
    read_upscale,
)
from dream.web.sdapi.input_pictures import encode_png
from dream.web.sdapi.lists import LISTS, ListThings
from dream.web.sdapi.read_img2img import prepare_images, with_images
from dream.web.sdapi.read_wanted import INVALID, MAX_IMAGES, WantedCall, read_hires, read_wanted
from dream.web.sdapi.server_options import (
    ServerOptions,
    describe_options,
    note_unknown,
    read_options,
)
from dream.web.services import WebServices
from dream.web.upload import open_upload

_PREFIX = "/sdapi/v1/"
_REFRESHED = (
    *("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings"),
    *("unload-checkpoint", "reload-checkpoint"),
)
"""POST paths with nothing to do: the folders are read each time, and models stay in memory as long
as there is room."""

Answer = Callable[[HttpRequest], Awaitable[Response]]


def open_sdapi_door(services: WebServices) -> Door:
    """The door for AUTOMATIC1111's clients."""
    routes = SdapiRoutes(services)
    posts: dict[str, Answer] = {
        "txt2img": routes.make_from_text,
        "img2img": routes.make_from_image,
        "extra-single-image": routes.upscale,
        "extra-batch-images": routes.upscale_several,
        "png-info": routes.read_png,
        "interrupt": routes.interrupt,
        "skip": routes.skip,
        "options": routes.set_options,
        **dict.fromkeys(_REFRESHED, answer_nothing),
    }
    gets: dict[str, Answer] = {
        "progress": routes.get_progress,
        "options": routes.get_options,
        **{name: routes.make_list_answer(function) for name, function in LISTS.items()},
    }
    return Door(
        (_PREFIX,),
        [
            *(Route(_PREFIX + name, answer, methods=["GET"]) for name, answer in gets.items()),
            *(Route(_PREFIX + name, answer, methods=["POST"]) for name, answer in posts.items()),
        ],
        format_error,
    )


def format_error(refusal: Refusal) -> dict[str, Any]:
    """The body of an error, with the keys of FastAPI and of AUTOMATIC1111."""
    return {"error": "HTTPException", "detail": refusal.text, "body": "", "errors": refusal.text}


async def answer_nothing(http: HttpRequest) -> Response:
    """`null`."""
    return JSONResponse(None)


class SdapiRoutes:
    """The endpoints."""

    def __init__(self, services: WebServices) -> None:
        self._services, self._session = services, services.session
        self._calls = SdapiCalls(services)
        self._options = ServerOptions()

    async def make_from_text(self, http: HttpRequest) -> Response:
        """POST txt2img."""
        body = await read_json(http)
        wanted = await to_thread.run_sync(self._read_text, body)
        return await self._make(wanted, http)

    async def make_from_image(self, http: HttpRequest) -> Response:
        """POST img2img."""
        body = await read_json(http)
        wanted = await to_thread.run_sync(read_wanted, self._session, self._options, body)
        prepared = await self._services.handle_image(prepare_images, wanted, body)
        image = await self._services.store_upload(prepared.image)
        mask = None
        if prepared.mask is not None:
            mask = (await self._services.store_upload(prepared.mask)).name
        return await self._make(with_images(wanted, prepared, image.name, mask), http)

    async def upscale(self, http: HttpRequest) -> Response:
        """POST extra-single-image."""
        body = await read_json(http)
        wanted = await to_thread.run_sync(read_upscale, self._session, body)
        encoded = ClientValues(body, INVALID).text("image")
        image, about, notes = await self._upscale(wanted, encoded, http)
        return JSONResponse({"html_info": about, "image": image}, headers=format_notes(notes))

    async def upscale_several(self, http: HttpRequest) -> Response:
        """POST extra-batch-images."""
        body = await read_json(http)
        wanted = await to_thread.run_sync(read_upscale, self._session, body)
        images = ClientValues(body, INVALID).items("imageList")
        if not 0 < len(images) <= MAX_IMAGES:
            raise Refusal(INVALID, f"imageList has to have from 1 to {MAX_IMAGES} images")
        answers, all_notes = [], list[str]()
        for one in images:
            values = ClientValues(one if isinstance(one, dict) else {}, INVALID)
            image, about, notes = await self._upscale(wanted, values.text("data"), http)
            answers.append((image, about))
            all_notes += notes
        body = {"html_info": answers[-1][1], "images": [image for image, _ in answers]}
        return JSONResponse(body, headers=format_notes(all_notes))

    async def read_png(self, http: HttpRequest) -> Response:
        """POST png-info."""
        values = ClientValues(await read_json(http), INVALID)
        data = decode_base64(values.text("image"), "image", INVALID)
        return JSONResponse(await self._services.handle_image(describe_png, data))

    async def interrupt(self, http: HttpRequest) -> Response:
        """POST interrupt."""
        self._calls.interrupt()
        return JSONResponse({})

    async def skip(self, http: HttpRequest) -> Response:
        """POST skip."""
        self._calls.skip()
        return JSONResponse(None)

    async def get_progress(self, http: HttpRequest) -> Response:
        """GET progress."""
        skips = http.query_params.get("skip_current_image", "").lower() in ("true", "1")
        return JSONResponse(self._calls.describe(image=not skips))

    async def get_options(self, http: HttpRequest) -> Response:
        """GET options."""
        return JSONResponse(
            await to_thread.run_sync(describe_options, self._session, self._options)
        )

    async def set_options(self, http: HttpRequest) -> Response:
        """POST options."""
        body = await read_json(http)
        values = ClientValues(body, INVALID)
        before = self._options
        chosen = await to_thread.run_sync(read_options, self._session, before, values)
        notes = await to_thread.run_sync(note_unknown, self._session, chosen, body)
        self._options = chosen
        return JSONResponse(None, headers=format_notes(notes))

    def make_list_answer(self, function: ListThings) -> Answer:
        """An endpoint that lists."""

        async def answer(http: HttpRequest) -> Response:
            return JSONResponse(await to_thread.run_sync(function, self._session))

        return answer

    def _read_text(self, body: dict[str, Any]) -> WantedCall:
        return read_hires(read_wanted(self._session, self._options, body), body)

    async def _make(self, wanted: WantedCall, http: HttpRequest) -> Response:
        call = SdapiCall(wanted.count, wanted.task)
        notes = await self._calls.make(call, wanted, http)
        if wanted.options is not None:
            self._options = wanted.options
        answer = await self._services.handle_image(write_images_answer, call, wanted)
        return JSONResponse(answer, headers=format_notes(notes))

    async def _upscale(
        self, wanted: WantedUpscale, encoded: str, http: HttpRequest
    ) -> tuple[str, str, list[str]]:
        """The image in base64, something about it in HTML, and notes."""
        data = decode_base64(encoded, "image", INVALID)
        if not (wanted.upscaler or wanted.faces):
            return (
                await self._services.handle_image(_repeat, data),
                "<p>not upscaled</p>",
                [*wanted.notes],
            )
        stored = await self._services.store_upload(data)
        request = wanted.request_of(self._session, stored)
        call = SdapiCall(1)
        made = WantedCall(request, None, 1, 1, "", True, 0, 0.0, wanted.notes)
        notes = await self._calls.make(call, made, http)
        saved = require_saved(call).saved[0]
        if wanted.upscaler and wanted.size is not None and wanted.crops:
            crop = await self._services.handle_image(crop_to_size, saved.path, wanted.size)
            image = _encode(crop)
        else:
            image = await self._services.handle_image(read_base64, saved)
        return image, f"<p>{html.escape(saved.line)}</p>", notes


def _repeat(data: bytes) -> str:
    return _encode(encode_png(open_upload(data).image))


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
