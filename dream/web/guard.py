"""Stands before every door: host, origin, token, kind and size of the body; and answers errors.

A plain ASGI middleware, because Starlette's BaseHTTPMiddleware hides disconnects. The path and the
headers are those of the scope: a URL built from the Host header can be forged
(GHSA-86qp-5c8j-p5mr).
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dream.core.errors import DreamError
from dream.web.access import COOKIE, Access
from dream.web.body_limit import BodyLimit
from dream.web.refusal import Refusal, explain
from dream.worker.crash import write_crash_file

OPEN_PATHS = ("/health",)
"""Answered without a token."""
_BODIES = ("application/json", "multipart/form-data")
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
}

FormatError = Callable[[str, Refusal], Any]
"""From the path of a request and a refusal to the JSON of its answer."""


class Guard:
    """Lets through what may reach the doors."""

    def __init__(self, app: ASGIApp, access: Access, format_error: FormatError) -> None:
        self._app, self._access, self._format_error = app, access, format_error
        self._limit = BodyLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *self._extra_headers(headers)]
            await send(message)

        reader = None
        try:
            answer = self._check(scope, headers)
            if answer is not None:
                await answer(scope, receive, send_guarded)
                return
            reader = self._limit.start(scope, receive)
            await self._app(scope, reader, send_guarded)
        except Exception as error:
            if not started:
                refusal = to_refusal(error)
                await self.respond(scope, refusal)(scope, receive, send_guarded)
            elif not isinstance(error, Refusal | DreamError):
                write_crash_file(error)
        finally:
            if reader is not None:
                reader.close()

    def respond(self, scope: Scope, refusal: Refusal) -> Response:
        """The answer to a refused request, in the shape of its door."""
        return JSONResponse(
            self._format_error(scope["path"], refusal), refusal.status, headers=refusal.headers
        )

    def _check(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """An answer that no door is needed for; None if the request goes on. Raises Refusal."""
        method, path, host = scope["method"], scope["path"], headers.get("host", "")
        if not self._access.is_host(host):
            raise Refusal(
                400,
                "this server does not answer to that host name",
                hint="use localhost or its address, or start it with --allow_host",
            )
        origin = headers.get("origin", "")
        self._check_site(scope, headers, origin, host)
        if method == "OPTIONS" and origin in self._access.options.origins:
            return Response(status_code=204)
        if path == "/" and (link := self._use_link(scope, headers)) is not None:
            return link
        if path not in OPEN_PATHS and not self._is_allowed(headers):
            raise Refusal(
                401,
                "this server needs a token",
                headers={"WWW-Authenticate": 'Basic realm="dream"'},
            )
        if method not in _SAFE:
            _check_kind(headers)
        return None

    def _check_site(self, scope: Scope, headers: dict[str, str], origin: str, host: str) -> None:
        """Refuse what another web site makes a browser send; programs send none of these headers.
        Raises Refusal."""
        if origin and origin != "null" and self._access.is_origin(origin, host):
            return
        site = headers.get("sec-fetch-site", "none")
        opens_page = (
            scope["method"] == "GET"
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )
        if origin or (site not in ("none", "same-origin") and not opens_page):
            raise Refusal(403, "other web sites may not use this server", hint="see --allow_origin")

    def _use_link(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        query = scope["query_string"].decode("latin-1")
        if not query.startswith("once="):
            return None
        session = self._access.use_link(query.removeprefix("once="))
        if session is None:
            if self._is_allowed(headers):
                return RedirectResponse("/", 303)
            raise Refusal(401, "this link was used already", hint="ask for a new one at the prompt")
        answer: Response = RedirectResponse("/", 303)
        if headers.get("sec-fetch-site") == "cross-site":
            # A link on another site: the browser sends a strict cookie only from our own page.
            answer = HTMLResponse('<meta http-equiv="refresh" content="0;url=/">')
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict")
        return answer

    def _is_allowed(self, headers: dict[str, str]) -> bool:
        if not self._access.needs_token:
            return True
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            cookies.clear()
        cookie = cookies[COOKIE].value if COOKIE in cookies else ""
        return self._access.is_allowed(headers.get("authorization", ""), cookie)

    def _extra_headers(self, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
        extra = dict(_HEADERS)
        origin = headers.get("origin", "").lower()
        if origin in self._access.options.origins:
            extra |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Headers": "authorization, content-type",
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Vary": "Origin",
            }
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in extra.items()]


def to_refusal(error: Exception) -> Refusal:
    """The refusal for whatever a door raised. An error of our own is written to a crash file."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DreamError):
        return explain(error)
    write_crash_file(error)
    return Refusal(500, "an unexpected error; the traceback is in dream's log folder")


def _check_kind(headers: dict[str, str]) -> None:
    """Raises Refusal for a body that a form of another site could send."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if not empty and kind not in _BODIES:
        raise Refusal(415, "the body has to be application/json or multipart/form-data")
