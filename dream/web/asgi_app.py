"""The application: the doors behind the guard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from dream.web.door import Door, MakeDoor
from dream.web.doors import DOORS
from dream.web.guard import Guard
from dream.web.refusal import Refusal
from dream.web.services import ClientGone, WebServices

_THREADS = 1
"""That compute for requests at the same time. Python runs only one anyway, and a key at the prompt
would wait for each; what takes long has other threads, of `WebServices`."""
_LIBRARIES = ("python_multipart", "uvicorn", "mcp")


def create_web_app(services: WebServices, doors: Sequence[MakeDoor] = DOORS) -> ASGIApp:
    """The ASGI application of a session. It answers errors itself and raises none."""
    for name in _LIBRARIES:
        # Their warnings quote what clients send; without a handler they would be on the terminal.
        logging.getLogger(name).addHandler(logging.NullHandler())
    opened = [make(services) for make in doors]
    router = Router(
        routes=[route for door in opened for route in door.routes],
        redirect_slashes=False,
        default=_refuse_unknown,
        lifespan=lambda app: _run(services, opened),
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await router(scope, receive, send)
            return
        # Router raises HTTPException only where it is in an application.
        scope["app"] = router
        try:
            await router(scope, receive, send)
        except ClientGone:
            return
        except HTTPException as error:
            headers = dict(error.headers or {})
            raise Refusal(error.status_code, error.detail, headers=headers) from None

    return Guard(app, services.access, lambda path, refusal: _format(opened, path, refusal))


@asynccontextmanager
async def _run(services: WebServices, doors: Sequence[Door]) -> AsyncIterator[None]:
    services.jobs.bind(asyncio.get_running_loop())
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
    async with AsyncExitStack() as stack:
        for door in doors:
            await stack.enter_async_context(door.lifespan())
        yield
        services.jobs.close()


async def _refuse_unknown(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal(404, "there is nothing at this address")


def _format(doors: Sequence[Door], path: str, refusal: Refusal) -> Any:
    """The error in the shape of the door with the longest prefix of this path."""
    matches = [(p, door) for door in doors for p in door.prefixes if path.startswith(p)]
    door = max(matches, key=lambda match: len(match[0]))[1] if matches else doors[0]
    return door.format_error(refusal)
