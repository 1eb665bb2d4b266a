"""Made-up requests, a few of those of `python -m scripts.fuzz_web`; and many clients at once."""

from __future__ import annotations

import gc
import select
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from dream.web import head_timeout
from dream.web.body_limit import MAX_BODY
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


def test_a_connection_without_a_request_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that begins a second request; but not one that waits for its answer."""
    monkeypatch.setattr(head_timeout, "HEAD_TIMEOUT", 0.3)
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serve_fake(tmp_path) as served, ExitStack() as stack:
        silent, partial, second = (
            stack.enter_context(socket.create_connection(served.server.address, timeout=20))
            for _ in range(3)
        )
        partial.sendall(whole[:9])
        second.sendall(whole)
        assert b"200" in second.recv(1000)
        second.sendall(whole[:9])
        for client in (silent, partial, second):
            while client.recv(1000):
                pass
        with served.http.stream("GET", "/api/events") as stream:
            threading.Event().wait(0.4)
            assert served.make("a cat")["state"] == "done"
            assert "ended" in next(line for line in stream.iter_lines() if "ended" in line)


def test_a_body_of_a_gibibyte_takes_no_memory(tmp_path: Path) -> None:
    """Neither with its length said, which is refused at once, nor in chunks without an end, which
    are read up to the limit."""
    with serve_fake(tmp_path) as served:
        before = psutil.Process().memory_info().rss
        head = "POST /api/lines HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for length in (f"Content-Length: {1 << 30}", "Transfer-Encoding: chunked"):
            with socket.create_connection(served.server.address, timeout=20) as client:
                client.sendall(f"{head}{length}\r\n\r\n".encode())
                sent = send_without_end(client) if "chunked" in length else 0
                assert sent < MAX_BODY + ROOM
                assert client.recv(100).startswith(b"HTTP/1.1 413")
        assert psutil.Process().memory_info().rss - before < MAX_BODY + ROOM
        assert served.http.get("/health").status_code == 200


def send_without_end(client: socket.socket) -> int:
    """Send chunks until the server answers; bytes sent."""
    data = b"x" * (1 << 20)
    for sent in range(0, 1 << 30, 1 << 20):
        if select.select([client], [], [], 0)[0]:
            return sent
        client.sendall(b"100000\r\n" + data + b"\r\n")
    return 1 << 30
