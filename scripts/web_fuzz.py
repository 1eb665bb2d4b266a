"""Send mutated bodies to every address of the server: python -m scripts.web_fuzz --cases 100000

Every answer has to be below 500 (503 means: busy) and, where it is an error, JSON in the shape of
its door. Nothing is rendered: the queue is paused, and each job is cancelled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.queue import LineQueue
from dream.web.access import WebOptions
from dream.web.asgi_app import create_web_app
from dream.web.services import WebServices
from tests.fakes import fake_session

BODIES: dict[str, dict[str, Any]] = {
    "/api/lines": {"line": "a cat -n2 -s20 -C5,7 --seamless"},
    "/api/check": {"line": "a cat -n2 -s20 --lora x:0.5"},
    "/api/complete": {"line": "a cat --st", "cursor": 10},
    "/api/edit": {"line": "a cat -s5", "field": "steps", "value": ["20"]},
    "/api/jobs/1/place": {"place": 0},
    "/api/pause": {"paused": True},
    "/api/link": {},
    "/api/uploads": {},
    "/api/info": {},
}
"""A good body for each address of our own; other doors add theirs."""
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**70, "", "x", "-1", "[", "\0", "\ud800", "é" * 5000),
    *([], {}, [[]], {"a": {"b": []}}, "../../etc/passwd", "a cat -o / -n 9999", "!del_model tiny"),
)
SIGNS = "-\"'\\[]{}()<>:, #!sSnUIM0159\t"


def mutate(rng: random.Random, body: dict[str, Any]) -> bytes:
    """A body with a few things changed: values, keys, bytes."""
    changed = dict(body)
    for _ in range(rng.randint(0, 3)):
        key = rng.choice([*changed, "x"])
        value = rng.choice(VALUES)
        if isinstance(changed.get(key), str) and rng.random() < 0.5:
            text = list(changed[key])
            for _ in range(rng.randint(1, 6)):
                text.insert(
                    rng.randint(0, len(text)), rng.choice("-\"'\\[]{}()<>:, #!sSnUIM0159\t")
                )
            value = "".join(text)
        changed[key] = value
    data = bytearray(json.dumps(changed).encode())
    if rng.random() < 0.2 and data:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


async def send(app: ASGIApp, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
    """POST a body without a network; status and answer."""
    head = [(b"host", b"localhost"), (b"content-type", kind.encode())]
    head.append((b"content-length", str(len(body)).encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": head,
        "scheme": "http", "root_path": "", "client": ("127.0.0.1", 1), "server": ("localhost", 1),
    }  # fmt: skip
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    status, parts = 0, []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def take(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, take)
    return status, b"".join(parts)


async def run(folder: Path, cases: int, seed: int) -> Counter[str]:
    """Send so many bodies; how often each answer came. Raises AssertionError for a wrong one."""
    rng, counts = random.Random(seed), Counter[str]()
    session = fake_session(folder)
    queue = LineQueue()
    queue.pause()
    runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
    services = WebServices(runner, WebOptions())
    services.jobs.bind(asyncio.get_running_loop())
    app = create_web_app(services)
    for case in range(cases):
        path = rng.choice(list(BODIES))
        body = mutate(rng, BODIES[path])
        kind = "application/json"
        if path in ("/api/uploads", "/api/info") or rng.random() < 0.03:
            kind = "multipart/form-data; boundary=x"
            body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="y"\r\n\r\n' + (
                body + b"\r\n--x--\r\n"
            )
        status, answer = await send(app, path, kind, body)
        assert 200 <= status < 500 or status == 503, (case, path, body, status, answer)
        value = json.loads(answer)
        assert status < 400 or value.get("error"), (case, path, body, status, answer)
        counts[f"{path} {status}"] += 1
        for entry in queue.waiting:
            queue.cancel(entry.number)
        await asyncio.sleep(0)
    session.close()
    return counts


def main() -> None:
    """Read the arguments and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = asyncio.run(run(Path(folder), asked.cases, asked.seed))
    for name, count in sorted(counts.items()):
        print(f"{count:8} {name}")


if __name__ == "__main__":
    main()
