"""Any body gets an answer in its door's shape, and many clients at once are served."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import psutil

from scripts.web_fuzz import BODIES, run
from tests.web.serving import serve_fake

CLIENTS, ROOM = 200, 100e6


def test_mutated_bodies(tmp_path: Path) -> None:
    counts = asyncio.run(run(tmp_path, cases=600, seed=1))
    assert {name.split()[0] for name in counts} == set(BODIES)
    assert any(name.endswith(("200", "202")) for name in counts)


def test_two_hundred_listeners_and_slow_senders(tmp_path: Path) -> None:
    with serve_fake(tmp_path) as served, ExitStack() as stack:
        before = psutil.Process().memory_info().rss
        for number in range(CLIENTS):
            client = stack.enter_context(socket.create_connection(served.server.address))
            head = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            if number % 2:  # one that never sends its body
                head = b"POST /api/lines HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
                head += b"Content-Type: application/json\r\n\r\n{"
            client.sendall(head)
        assert served.make("a cat -n3")["state"] == "done"
        assert served.http.get("/health").status_code == 200
        assert psutil.Process().memory_info().rss - before < ROOM
