"""The images of the gallery, uploads, and what images record."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dream.core.errors import DreamError, GalleryError
from dream.gallery.metadata import read_metadata
from dream.gallery.png import is_ours, read_chunks
from dream.session.foreign_models import ModelLookup
from dream.session.image_prompts import read_image_line
from dream.web.picture_list import MEDIA_TYPES, ListedPicture
from dream.web.read_body import read_file, read_json, take_text
from dream.web.refusal import Refusal
from dream.web.services import WebServices
from dream.web.thumbnails import make_thumbnail

_PAGE, _LONGEST_PAGE = 60, 200
_MAX_CACHED = 20_000


class PictureRoutes:
    """Routes for images."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._lookup = ModelLookup(services.session.registry)
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}

    def list_routes(self) -> Sequence[BaseRoute]:
        """The routes."""
        return (
            Route("/api/pictures", self.list_page),
            Route("/api/pictures/{name:path}", self.describe, methods=["GET"]),
            Route("/api/pictures/{name:path}", self.delete, methods=["DELETE"]),
            Route("/api/uploads", self.upload, methods=["POST"]),
            Route("/api/info", self.read_info, methods=["POST"]),
            Route("/pictures/{name:path}", self.send),
            Route("/thumbnails/{name:path}", self.send_thumbnail),
            Route("/uploads/{name}", self.send_upload),
        )

    async def list_page(self, http: HttpRequest) -> Response:
        """GET /api/pictures?before=CURSOR&count=N: images, newest first."""
        before, count = http.query_params.get("before", ""), http.query_params.get("count", "")
        many = int(count) if count.isascii() and count.isdecimal() and len(count) < 6 else _PAGE
        body = await to_thread.run_sync(self._list, before, max(1, min(many, _LONGEST_PAGE)))
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def describe(self, http: HttpRequest) -> Response:
        """GET /api/pictures/NAME: everything that an image records."""
        picture = await self._find(http)
        return JSONResponse(await to_thread.run_sync(self._describe_file, picture.path))

    async def delete(self, http: HttpRequest) -> Response:
        """DELETE /api/pictures/NAME {"confirm": NAME}: remove an image that this dream wrote. Its
        line stays in the log."""
        picture = await self._find(http)
        if take_text(await read_json(http), "confirm", "") != picture.name:
            raise Refusal(400, "“confirm” has to be the name of the image")
        await to_thread.run_sync(_delete, picture)
        self._services.jobs.announce({"event": "deleted", "name": picture.name})
        return JSONResponse({"deleted": picture.name})

    async def upload(self, http: HttpRequest) -> Response:
        """POST /api/uploads with a file `image`: keep it for -I, -M and the like."""
        data = await read_file(http, "image")
        stored = await self._services.store_upload(data)
        body = {"name": stored.name, "width": stored.width, "height": stored.height}
        return JSONResponse(body, 201)

    async def read_info(self, http: HttpRequest) -> Response:
        """POST /api/info with a file `image`: what any program's image records, as a line."""
        data = await read_file(http, "image")
        limiter = self._services.decoders
        return JSONResponse(await to_thread.run_sync(self._describe_bytes, data, limiter=limiter))

    async def send(self, http: HttpRequest) -> Response:
        """GET /pictures/NAME: the file."""
        picture = await self._find(http)
        kind = MEDIA_TYPES[picture.path.suffix.lower()]
        headers = {"Cache-Control": "private, no-cache"}
        return FileResponse(picture.path, media_type=kind, headers=headers)

    async def send_thumbnail(self, http: HttpRequest) -> Response:
        """GET /thumbnails/NAME: at most 384 pixels a side, as WebP."""
        picture = await self._find(http)
        path = await to_thread.run_sync(make_thumbnail, picture, limiter=self._services.decoders)
        headers = {"Cache-Control": "private, max-age=86400"}
        return FileResponse(path, media_type="image/webp", headers=headers)

    async def send_upload(self, http: HttpRequest) -> Response:
        """GET /uploads/HASH.png: an upload."""
        name = f"inputs/{http.path_params['name']}"
        path = await to_thread.run_sync(self._services.pictures.find_input, name)
        kind = MEDIA_TYPES.get(path.suffix.lower()) if path else None
        if path is None or kind is None:
            raise Refusal(404, "there is no such upload")
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, no-cache"})

    async def _find(self, http: HttpRequest) -> ListedPicture:
        name = http.path_params["name"]
        picture = await to_thread.run_sync(self._services.pictures.find, name)
        if picture is None:
            raise Refusal(404, "there is no such image")
        return picture

    def _list(self, before: str, count: int) -> dict[str, Any]:
        page, following = self._services.pictures.page(before, count)
        return {"pictures": [self._describe_briefly(one) for one in page], "before": following}

    def _describe_briefly(self, picture: ListedPicture) -> dict[str, Any]:
        key = (picture.name, picture.stamp)
        if key not in self._lines:
            if len(self._lines) > _MAX_CACHED:
                self._lines.clear()
            self._lines[key] = self._read_briefly(picture)
        return self._lines[key]

    def _read_briefly(self, picture: ListedPicture) -> dict[str, Any]:
        body: dict[str, Any] = {"name": picture.name, "stamp": picture.stamp, "line": ""}
        body["time"] = picture.time // 10**6
        try:
            found = read_metadata(picture.path)
            body |= {"width": found.width, "height": found.height, "grid": bool(found.grid)}
            if found.has_record or found.grid:
                body["line"] = read_image_line(picture.path, self._lookup).line
            body["tool"] = found.foreign.tool if found.foreign else ""
        except DreamError:
            return body
        return body

    def _describe_bytes(self, data: bytes) -> dict[str, Any]:
        with tempfile.NamedTemporaryFile(suffix=".img") as file:
            file.write(data)
            file.flush()
            try:
                return self._describe_file(Path(file.name))
            except GalleryError as error:
                text = error.message.replace(file.name, "the image")
                raise GalleryError(text, error.hint) from None

    def _describe_file(self, path: Path) -> dict[str, Any]:
        found = read_metadata(path)
        line, notes = "", tuple[str, ...]()
        if found.has_record or found.grid:
            line, notes = read_image_line(path, self._lookup)
        return {
            "format": found.format,
            "width": found.width,
            "height": found.height,
            "size": found.size,
            "line": line,
            "notes": [note.replace(path.name, "it") for note in notes],
            "tool": found.foreign.tool if found.foreign else "dream" if line else "",
            "facts": dict(found.record.facts),
            "sha256": found.record.sha256,
            "seconds": found.record.seconds,
            "others": {name: text[:10_000] for name, text in list(found.others.items())[:50]},
        }


def _delete(picture: ListedPicture) -> None:
    """Remove a file that this installation wrote. Raises Refusal, GalleryError."""
    try:
        ours = is_ours(read_chunks(picture.path))
        if ours:
            picture.path.unlink()
    except FileNotFoundError:
        raise Refusal(404, "there is no such image") from None
    except (OSError, ValueError) as error:
        raise GalleryError(f"{picture.name} cannot be deleted: {error}") from error
    if not ours:
        raise Refusal(
            403, "this image was not written by dream here", hint="delete it in its folder"
        )
