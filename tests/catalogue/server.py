"""A little web server on this machine that can be told to misbehave."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Release:
    """What the server serves, and how. Tests change it between requests."""

    body: bytes
    etag: str = '"one"'
    ranges: bool = True
    cut_after: int | None = None
    """Bytes of the body after which the connection is dropped."""
    status: int = 200
    location: str = ""
    """Where to redirect to, when not empty."""
    disposition: str = ""
    """What it calls the file, as Content-Disposition, when not empty."""
    length: bool = True
    """Whether the length is told beforehand."""
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Range and If-Range of each request."""


@contextmanager
def serving(release: Release) -> Iterator[Release]:
    with at_home(_handler(release)) as address:
        release.url = f"{address}/v1/net.pth"
        yield release


@contextmanager
def at_home(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on this machine; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(release: Release) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted, version = self.headers.get("Range", ""), self.headers.get("If-Range", "")
            release.requests.append((wanted, version))
            if release.location:
                self.send_response(302)
                self.send_header("Location", release.location)
                self.end_headers()
                return
            if release.status != 200:
                self.send_error(release.status)
                return
            self._send(_start(wanted, version, release))

        def _send(self, start: int) -> None:
            whole = len(release.body)
            if start >= whole > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            if release.length:
                self.send_header("Content-Length", str(whole - start))
            if release.etag:
                self.send_header("ETag", release.etag)
            if release.disposition:
                self.send_header("Content-Disposition", release.disposition)
            self.end_headers()
            self.wfile.write(release.body[start : release.cut_after])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _start(wanted: str, version: str, release: Release) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", wanted)
    if not (found and release.ranges) or version not in ("", release.etag):
        return 0
    return int(found[1])
