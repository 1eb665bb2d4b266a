"""The hub, as far as a download goes, on this machine: one repository, perhaps gated."""

from __future__ import annotations

import hashlib
import http.server
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.catalogue.server import at_home

COMMIT = "0" * 40


@dataclass
class Hub:
    repo: str
    files: Mapping[str, bytes]
    gated: bool = False
    token: str = ""
    """What opens a gated repository."""
    cut: bool = False
    """Whether each file's first answer is cut in the middle."""
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """Every path, in order."""
    tokens: list[str] = field(default_factory=list)
    """Every Authorization that came with one."""


@contextmanager
def hub_at_home(hub: Hub) -> Iterator[Hub]:
    with at_home(_handler(hub)) as hub.url:
        yield hub


def _handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            again = path in hub.requests
            hub.requests.append(path)
            hub.tokens += filter(None, [self.headers.get("Authorization")])
            if path.startswith(f"/api/models/{hub.repo}"):
                self._send(200, json.dumps(_info(hub)).encode())
            elif path.startswith(f"/{hub.repo}/resolve/{COMMIT}/"):
                name = path.removeprefix(f"/{hub.repo}/resolve/{COMMIT}/")
                allowed = self.headers.get("Authorization") == f"Bearer {hub.token}"
                if hub.gated and not allowed:
                    self._send(401, b"")
                else:
                    self._file(hub.files[name], cut=hub.cut and not again)
            else:
                self._send(404, b'{"error": "Repository not found"}', "RepoNotFound")

        def _file(self, body: bytes, cut: bool) -> None:
            wanted = self.headers.get("Range", "").removeprefix("bytes=").rstrip("-")
            start = int(wanted or 0)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            self.wfile.write(body[start : len(body) // 2 if cut else None])

        def _send(self, status: int, body: bytes, code: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if code:
                self.send_header("X-Error-Code", code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _info(hub: Hub) -> dict[str, object]:
    def sibling(name: str, body: bytes) -> dict[str, object]:
        lfs = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 1}
        return {"rfilename": name, "size": len(body), **({"lfs": lfs} if _large(name) else {})}

    siblings = [sibling(name, body) for name, body in hub.files.items()]
    return {"id": hub.repo, "modelId": hub.repo, "sha": COMMIT, "siblings": siblings, "tags": []}


def _large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))
