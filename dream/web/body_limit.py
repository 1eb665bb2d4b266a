"""Bounds what clients may send, while it arrives."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import Message, Receive, Scope

from dream.web.refusal import Refusal, wait_before

MAX_BODY = 64 << 20
"""Bytes of one request's body."""
_MAX_BODIES = 256 << 20
"""Bytes of all bodies that arrive at the same time."""
_TIMEOUT = 30.0
"""Seconds within which the next part of a body has to arrive."""


class BodyLimit:
    """Counts the bytes of all requests that are being read."""

    def __init__(self) -> None:
        self._held = 0

    def start(self, scope: Scope, receive: Receive) -> BodyReader:
        """A reader for one request. Raises Refusal if its length is too large already."""
        headers = dict(scope["headers"])
        length = 0
        with suppress(ValueError):
            length = int(headers.get(b"content-length", b"0"))
        if length > MAX_BODY:
            raise Refusal(413, f"the body is larger than {MAX_BODY >> 20} MiB")
        return BodyReader(self, receive)

    def hold(self, size: int) -> None:
        """Count more bytes. Raises Refusal if there are too many at once."""
        if self._held + size > _MAX_BODIES:
            raise wait_before(2, "too many large requests at once", 503)
        self._held += size

    def release(self, size: int) -> None:
        """The request with these bytes has ended."""
        self._held -= size


class BodyReader:
    """Receives one body. Call `close` at the end of the request."""

    def __init__(self, limit: BodyLimit, receive: Receive) -> None:
        self._limit, self._receive, self._size, self._whole = limit, receive, 0, False

    async def __call__(self) -> Message:
        """Receive the next message. Raises Refusal for a body that is too large or too slow."""
        if self._whole:
            return await self._receive()  # the disconnect, whenever it comes
        try:
            message = await asyncio.wait_for(self._receive(), _TIMEOUT)
        except TimeoutError:
            raise Refusal(408, "the body did not arrive in time") from None
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            if self._size + size > MAX_BODY:
                raise Refusal(413, f"the body is larger than {MAX_BODY >> 20} MiB")
            self._limit.hold(size)
            self._size += size
            self._whole = not message.get("more_body", False)
        return message

    def close(self) -> None:
        """Forget the bytes."""
        self._limit.release(self._size)
        self._size = 0
