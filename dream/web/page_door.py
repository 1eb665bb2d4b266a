"""The page: a few files, without a build step and without anything from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from dream.web.refusal import Refusal

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageRoutes:
    """Serves the files of the page from memory."""

    def __init__(self) -> None:
        files = [path for path in _FOLDER.iterdir() if path.suffix in _TYPES]
        self._files = {path.name: (_TYPES[path.suffix], path.read_bytes()) for path in files}

    def list_routes(self) -> Sequence[Route]:
        """The routes."""
        return (Route("/", self.send_page), Route("/static/{name}", self.send_file))

    async def send_page(self, http: HttpRequest) -> Response:
        """GET /: the page."""
        return self._send(http, "index.html")

    async def send_file(self, http: HttpRequest) -> Response:
        """GET /static/NAME."""
        return self._send(http, http.path_params["name"])

    def _send(self, http: HttpRequest, name: str) -> Response:
        if name not in self._files:
            raise Refusal(404, "there is nothing at this address")
        kind, data = self._files[name]
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if http.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)
