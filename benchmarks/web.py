"""The server: what a door costs, how late events are, and how soon a large gallery is there.

    python -m benchmarks.web [--rounds N] [--pictures N]

A line over HTTP against the same line in the session (at most 1.05 of it, with the shipped model);
the delay from the session's event to a client's (99 of 100 within 50 ms); the first page of a
gallery of 10,000 images, by HTTP, without thumbnails.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2
from PIL import Image

import dream
from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.events import Event, Step
from dream.options.launch_values import WebAddress
from dream.queue import LineQueue, QueuedLine
from dream.session import Session
from dream.web.access import WebOptions
from dream.web.web_server import serve


class StepTimes:
    """A listener that notes when each step happened."""

    def __init__(self) -> None:
        self.at: dict[tuple[int, int, int], float] = {}

    def begin_line(self, entry: QueuedLine) -> None:
        """Nothing to note."""

    def show_event(self, entry: QueuedLine, event: Event) -> None:
        """Note a step."""
        if isinstance(event, Step):
            self.at[entry.number, event.picture, event.step] = time.monotonic()

    def end_line(self, entry: QueuedLine) -> None:
        """Nothing to note."""


def measure(session: Session, rounds: int) -> tuple[float, float, list[float]]:
    """Median seconds of a picture in the session and over HTTP, alternating; delays of steps."""
    queue, seeds, times = LineQueue(), itertools.count(1), StepTimes()
    runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
    runner.listeners.append(times)
    own: list[float] = []
    theirs: list[float] = []
    delays: list[float] = []
    list(session.make("a red circle -s1"))  # loads the model
    with serve(runner, WebOptions(WebAddress("127.0.0.1", 0))) as server:
        runner.start()
        with httpx2.Client(base_url=server.url, timeout=300) as http:
            ended, listening = threading.Event(), threading.Event()

            def listen() -> None:
                # The client is closed under it at the end.
                with suppress(httpx2.HTTPError), http.stream("GET", "/api/events") as stream:
                    for line in stream.iter_lines():
                        listening.set()
                        event = json.loads(line[6:]) if line.startswith("data: ") else {}
                        if event.get("event") == "step":
                            key = (event["job"], event["picture"], event["step"])
                            delays.append(time.monotonic() - times.at[key])
                        elif event.get("event") == "ended":
                            ended.set()

            threading.Thread(target=listen, daemon=True).start()
            listening.wait()
            for _ in range(rounds):
                line = f"a red circle on a blue background -S{next(seeds)}"
                began = time.monotonic()
                list(session.make(line))
                middle = time.monotonic()
                ended.clear()
                http.post("/api/lines", json={"line": line})
                ended.wait()
                own.append(middle - began)
                theirs.append(time.monotonic() - middle)
        queue.close()
        runner.wait(10)
    return statistics.median(own), statistics.median(theirs), delays


def measure_gallery(folder: Path, count: int) -> tuple[float, float]:
    """Seconds of the first page of so many images, and of the second request for it."""
    first = folder / "0.png"
    Image.new("RGB", (64, 64)).save(first)
    for number in range(1, count):
        (folder / f"{number}.png").hardlink_to(first)
    with dream.open(model="tiny", outdir=str(folder)) as session:
        queue = LineQueue()
        runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
        with serve(runner, WebOptions(WebAddress("127.0.0.1", 0))) as server:
            seconds = []
            with httpx2.Client(base_url=server.url, timeout=60) as http:
                http.get("/health")
                for _ in range(2):
                    began = time.monotonic()
                    for path in ("/", "/static/page.js", "/api/state", "/api/pictures?count=60"):
                        http.get(path)
                    seconds.append(time.monotonic() - began)
    return seconds[0], seconds[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with dream.open(model="tiny", outdir=folder, previews=True) as session:
            own, theirs, delays = measure(session, asked.rounds)
        ratio = theirs / own
        print(f"a picture: {own:.3f} s in the session, {theirs:.3f} s over HTTP: {ratio:.3f}")
        late = sorted(delays)[int(len(delays) * 0.99)] * 1000
        print(f"events: {len(delays)}, 99 of 100 within {late:.1f} ms")
    with tempfile.TemporaryDirectory() as folder:
        first, again = measure_gallery(Path(folder), asked.pictures)
        print(f"{asked.pictures:,} images: first page {first:.2f} s, again {again:.3f} s")


if __name__ == "__main__":
    main()
