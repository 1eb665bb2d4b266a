"""Made-up requests, a few of those of `python -m scripts.fuzz_web`; and many clients at once."""

from __future__ import annotations

import gc
import socket
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from scripts.fuzz_web import fuzz
from tests.web.serving import serve_fake

CLIENTS, ROOM = 200, 100e6


# Starlette leaves the temporary file of a part that does not end to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_answer_has_the_shape_of_its_door(tmp_path: Path) -> None:
    assert list(fuzz(tmp_path, 0, 600)) == []
    gc.collect()


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
