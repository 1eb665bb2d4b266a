"""The door for language models: MCP over HTTP at /mcp.

The library is imported with the first request, since it takes seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from anyio import to_thread
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dream.web.door import Door
from dream.web.refusal import Refusal
from dream.web.services import WebServices

_PATH = "/mcp"
Serve = Callable[[], AbstractAsyncContextManager[None]]


def open_mcp_door(services: WebServices) -> Door:
    """The door for MCP clients."""
    endpoint = McpEndpoint(services)
    return Door((_PATH,), [Route(_PATH, endpoint)], lifespan=endpoint.run)


class McpEndpoint:
    """An ASGI application that becomes the library's own when it is first used."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._app: ASGIApp | None = None
        self._stop = asyncio.Event()
        self._starting = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises Refusal if the library is not installed."""
        async with self._starting:
            if self._app is None:
                self._app = await self._start()
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """In the block, requests are answered."""
        try:
            yield
        finally:
            self._stop.set()
            if self._running is not None:
                await self._running

    async def _start(self) -> ASGIApp:
        try:
            app, serve = await to_thread.run_sync(
                _create, self._services, limiter=self._services.commands
            )
        except ImportError:
            raise Refusal(
                404, "MCP is not installed here", hint="pip install 'dream-prompt[mcp]'"
            ) from None
        is_up = asyncio.Event()

        async def keep_running() -> None:
            async with serve():
                is_up.set()
                await self._stop.wait()

        self._running = asyncio.create_task(keep_running())
        await is_up.wait()
        return app


def _create(services: WebServices) -> tuple[ASGIApp, Serve]:
    """The library's application, and what has to run meanwhile. Raises ImportError."""
    from mcp.server.transport_security import TransportSecuritySettings

    from dream.web.mcp_server.register_tools import create_mcp_server

    server = create_mcp_server(services, "mcp http")
    # `web.guard` has checked host and origin, by the names that this server was started with.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(streamable_http_path=_PATH, transport_security=security)
    return app, server.session_manager.run
