"""Serves the doors of a session, in a thread of its own."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from dream.commands.line_runner import LineRunner
from dream.core.errors import BadSetting
from dream.options.launch_values import WebAddress
from dream.web.access import WebOptions
from dream.web.asgi_app import create_web_app
from dream.web.head_timeout import ImpatientProtocol
from dream.web.left_lines import LeftLines
from dream.web.services import WebServices

_MAX_CONNECTIONS = 400
_STOP_TIMEOUT = 3
"""Seconds that open requests get at the end."""
_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that computes lets another one run; Python's own 0.005 is as long as
a request's work, and a key would wait for several of those."""


class WebServer:
    """A server that listens. Its thread never asks the session for images."""

    def __init__(self, services: WebServices, listening: socket.socket) -> None:
        self.services = services
        self._socket = listening
        port = listening.getsockname()[1]
        self.address = WebAddress(services.options.address.host, port)
        config = uvicorn.Config(
            create_web_app(services),
            http=ImpatientProtocol,
            log_config=None,  # what clients send is not logged
            log_level="critical",
            access_log=False,
            server_header=False,
            lifespan="on",
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_STOP_TIMEOUT,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Where a browser opens the page; with a token, a link that works once."""
        host = self.address.host
        shown = WebAddress("127.0.0.1" if host in ("0.0.0.0", "::") else host, self.address.port)
        access = self.services.access
        return f"http://{shown}/" + (f"?once={access.make_link()}" if access.needs_token else "")

    def start(self) -> None:
        """Serve, until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End all connections and the thread."""
        self.services.jobs.close()
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT + 2)
        self._socket.close()

    def _run(self) -> None:
        # Requests are answered beside the prompt, in one process: it gets its turn sooner.
        sys.setswitchinterval(_SWITCH_INTERVAL)
        self._server.run(sockets=[self._socket])


@contextmanager
def serve(
    runner: LineRunner, options: WebOptions, left: LeftLines | None = None
) -> Iterator[WebServer]:
    """Serve a session's page and APIs during the block. Raises BadSetting if the address cannot be
    used."""
    server = WebServer(WebServices(runner, options, left), _listen(options.address))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _listen(address: WebAddress) -> socket.socket:
    kind = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(kind, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        reason = error.strerror or error
        raise BadSetting(
            f"--web {address}: {reason}", "choose another port, such as --web 7861"
        ) from None
    return listening
