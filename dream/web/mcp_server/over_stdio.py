"""Serves one client over stdin and stdout: `dream --mcp`."""

from __future__ import annotations

import asyncio

import anyio

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.queue import LineQueue
from dream.session import Session
from dream.web.access import WebOptions
from dream.web.mcp_server.register_tools import create_mcp_server
from dream.web.services import WebServices

_STOP_TIMEOUT = 10.0
"""Seconds to wait at the end for the current image to be cancelled."""


def serve_stdio(session: Session) -> None:
    """Serve until the client closes stdin. Nothing else may write to stdout. The worker is started
    with the first job: clients start all of their servers, and use few."""
    queue = LineQueue(interrupt=session.engine.interrupt)
    runner = LineRunner(Context(session, lambda: (), COMMANDS, queue=queue), queue)
    services = WebServices(runner, WebOptions())
    is_started = False

    def start() -> None:
        nonlocal is_started
        if not is_started:
            is_started = True
            runner.start()

    async def run() -> None:
        services.jobs.bind(asyncio.get_running_loop())
        await create_mcp_server(services, "mcp", start).run_stdio_async()

    try:
        anyio.run(run)
    finally:
        queue.close()
        runner.wait(_STOP_TIMEOUT)
