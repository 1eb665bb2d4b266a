"""The clients of `benchmarks.web`, in a process of their own, as clients are: in the server's they
would share its interpreter, and reading their answers would be counted as what a door costs.

Reads `WAY SEED` from standard input; writes a line of JSON for each: `seconds` until the client had
the image, and when each step `arrived` as [job, picture, step, seconds of time.monotonic].
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
from anyio.from_thread import start_blocking_portal
from mcp import Client

from benchmarks.web import PROMPT, WAYS

Arrived = list[tuple[int, int, int, float]]


class Clients:
    """Connected clients. `make` makes the image of a seed through a door."""

    def __init__(self, http: httpx2.Client, call_tool: Callable[..., Any]) -> None:
        self._http, self._call_tool = http, call_tool

    def make(self, way: str, seed: int) -> dict[str, Any]:
        """What to answer."""
        if way == "/api/lines":
            return self._make_by_line(seed)
        began = time.monotonic()
        if way == "/mcp":
            answer = self._call_tool("generate_image", {"prompt": PROMPT, "seed": seed})
            assert not answer.is_error, answer
        else:
            path = WAYS[way]
            self._http.post(path, json={"prompt": PROMPT, "seed": seed}).raise_for_status()
        return {"seconds": time.monotonic() - began, "arrived": []}

    def _make_by_line(self, seed: int) -> dict[str, Any]:
        """As the page does: it listens, submits, and has the image with the event `ended`."""
        arrived: Arrived = []
        with self._http.stream("GET", "/api/events") as stream:
            events = _read_events(stream)
            next(events)  # listening
            began = time.monotonic()
            line = {"line": f"{PROMPT} -S{seed}"}
            self._http.post("/api/lines", json=line).raise_for_status()
            for event in events:
                if event["event"] == "step":
                    at = time.monotonic()
                    arrived.append((event["job"], event["picture"], event["step"], at))
                elif event["event"] == "ended":
                    break
            return {"seconds": time.monotonic() - began, "arrived": arrived}


def _read_events(stream: httpx2.Response) -> Iterator[dict[str, Any]]:
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


@contextmanager
def connect(url: str) -> Iterator[Clients]:
    """The clients of a server."""
    with ExitStack() as stack:
        http = stack.enter_context(httpx2.Client(base_url=url, timeout=300))
        portal = stack.enter_context(start_blocking_portal())
        agent = stack.enter_context(
            portal.wrap_async_context_manager(
                Client(f"{url}mcp", read_timeout_seconds=300)  # the library starts slowly
            )
        )
        yield Clients(http, lambda *call: portal.call(agent.call_tool, *call))


def main() -> None:
    """Answer each line of standard input."""
    with connect(sys.argv[1]) as clients:
        for line in sys.stdin:
            way, seed = line.split()
            print(json.dumps(clients.make(way, int(seed))), flush=True)


if __name__ == "__main__":
    main()
