"""A session served over a real port, with the fake engine behind it, for every door's tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.events import Preview
from dream.core.recipe import Recipe
from dream.engine.interface import EngineEvents, Progress
from dream.options.launch_values import WebAddress
from dream.queue import LineQueue
from dream.session import Session
from dream.web.access import WebOptions
from dream.web.left_lines import LeftLines
from dream.web.web_server import WebServer, serve
from tests.fakes import FakeEngine, colour, fake_session

ANY_PORT = WebAddress("127.0.0.1", 0)


class PreviewingEngine(FakeEngine):
    """Each of its steps comes with a preview."""

    def render(self, recipe: Recipe, every: int = 0) -> EngineEvents:
        """As the other's, with the image's colour in every preview."""
        preview = Preview(8, 8, bytes(colour(recipe)) * 64)
        for event in super().render(recipe, every):
            yield replace(event, preview=preview) if isinstance(event, Progress) else event


@dataclass
class Served:
    """A server, and a client of it."""

    server: WebServer
    session: Session
    engine: FakeEngine
    http: httpx2.Client

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://{self.server.address}"

    def post(self, path: str, **body: Any) -> httpx2.Response:
        """POST a JSON object."""
        return self.http.post(path, json=body)

    def make(self, line: str) -> dict[str, Any]:
        """Submit a line and wait for its job."""
        answer = self.post("/api/lines", line=line)
        assert answer.status_code == 202, answer.text
        return self.wait(answer.json()["job"])

    def wait(self, job: int) -> dict[str, Any]:
        """The job, once it is over: by the events."""
        with self.http.stream("GET", "/api/events") as stream:
            for event in read_events(stream.iter_lines()):
                if event["event"] in ("reset", "ended", "queue"):
                    found: dict[str, Any] = self.http.get(f"/api/jobs/{job}").json()
                    if found["state"] not in ("waiting", "running"):
                        return found
        raise AssertionError("the events ended")


def read_events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream; `id` is theirs."""
    name = ""
    for line in lines:
        if line.startswith("id: "):
            name = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield json.loads(line.removeprefix("data: ")) | {"id": name}
            name = ""


@contextmanager
def serve_fake(
    folder: Path,
    engine: FakeEngine | None = None,
    options: WebOptions = WebOptions(ANY_PORT),  # noqa: B008 - frozen
    models: Sequence[str] = ("tiny", "twin"),
) -> Iterator[Served]:
    """Serve a fake session whose images are in `folder`/outputs."""
    engine = engine or PreviewingEngine()
    with (
        fake_session(folder, engine, *models) as session,
        serve_session(session, options) as served,
    ):
        yield replace(served, engine=engine)


@contextmanager
def serve_session(
    session: Session,
    options: WebOptions = WebOptions(ANY_PORT),  # noqa: B008 - frozen
    left: LeftLines | None = None,
) -> Iterator[Served]:
    """Serve any session."""
    queue = LineQueue(interrupt=session.engine.interrupt)
    runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
    with serve(runner, options, left) as server:
        runner.start()
        with httpx2.Client(base_url=f"http://{server.address}", timeout=20) as http:
            yield Served(server, session, FakeEngine(), http)
        queue.close()
        runner.wait(10)
