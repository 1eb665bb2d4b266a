"""The server: what a door costs, how late events are, and how soon a large gallery is there.

    python -m benchmarks.web [--rounds N] [--pictures N]

An image through each door against the same line in the session (at most 1.05 of it, with the
included model), by clients in a process of their own; the delay from the session's event to a
client's (99 of 100 within 50 ms); the page with a gallery of 10,000 images: by HTTP, and where
there is chromium, when the browser has painted it (at most 1 s).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx2
from PIL import Image
from playwright.sync_api import sync_playwright

import dream
from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.events import Event, Step
from dream.options.launch_values import WebAddress
from dream.queue import LineQueue, QueuedLine
from dream.session import Session
from dream.web.access import WebOptions
from dream.web.web_server import serve

PROMPT = "a red circle on a blue background"
SESSION = "the session"
WAYS: Mapping[str, str] = {
    "/api/lines": "/api/lines",
    "/sdapi/v1": "/sdapi/v1/txt2img",
    "/v1/images": "/v1/images/generations",
    "/mcp": "/mcp",
}
"""The doors, and the paths at which they make an image."""


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


def measure(session: Session, rounds: int) -> tuple[dict[str, float], list[float]]:
    """Median seconds of an image in the session and through each door, in turn; delays of steps."""
    queue, seeds, times = LineQueue(), itertools.count(1), StepTimes()
    runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
    runner.listeners.append(times)
    delays: list[float] = []
    with serve(runner, WebOptions(WebAddress("127.0.0.1", 0))) as server:
        runner.start()
        with start_clients(server.url) as ask:

            def make(way: str, seed: int) -> float:
                if way == SESSION:
                    return make_in_session(session, seed)
                answer = ask(way, seed)
                delays.extend(at - times.at[job, of, n] for job, of, n, at in answer["arrived"])
                return float(answer["seconds"])

            ways = [SESSION, *WAYS]
            for way in ways:
                make(way, next(seeds))  # loads the model, and libraries
            delays.clear()
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(rounds):
                seed = next(seeds)
                # From another one on in each round, in both directions: what a way leaves behind
                # is fair to all.
                turned = ways[number % len(ways) :] + ways[: number % len(ways)]
                for way in turned if number % 2 == 0 else reversed(turned):
                    seconds[way].append(make(way, seed))
        queue.close()
        runner.wait(10)
    return {name: statistics.median(found) for name, found in seconds.items()}, delays


def make_in_session(session: Session, seed: int) -> float:
    """Seconds of an image without any door."""
    began = time.monotonic()
    list(session.make(f"{PROMPT} -S{seed}"))
    return time.monotonic() - began


@contextmanager
def start_clients(url: str) -> Iterator[Callable[[str, int], dict[str, Any]]]:
    """A function that has another process make the image of a seed through a door; the process's
    answer."""
    command = [sys.executable, "-m", "benchmarks.web_clients", url]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def ask(way: str, seed: int) -> dict[str, Any]:
            print(way, seed, file=asked, flush=True)
            answer: dict[str, Any] = json.loads(answered.readline())
            return answer

        yield ask
        asked.close()


def measure_gallery(folder: Path, count: int) -> dict[str, float]:
    """Seconds until so many images can be looked at, in several ways."""
    first = folder / "0.png"
    Image.new("RGB", (64, 64)).save(first)
    for number in range(1, count):
        (folder / f"{number}.png").hardlink_to(first)
    found = {}
    with dream.open(model="tiny", outdir=str(folder)) as session:
        queue = LineQueue()
        runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
        with serve(runner, WebOptions(WebAddress("127.0.0.1", 0))) as server:
            with httpx2.Client(base_url=server.url, timeout=60) as http:
                http.get("/health")
                for name in ("by HTTP", "by HTTP again"):
                    began = time.monotonic()
                    for path in ("/", "/static/page.js", "/api/state", "/api/pictures?count=60"):
                        http.get(path)
                    found[name] = time.monotonic() - began
            if chromium := shutil.which("chromium"):
                found |= measure_paint(server.url, chromium)
    return found


def measure_paint(url: str, chromium: str) -> dict[str, float]:
    """Seconds from the address to what a browser shows of the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        # The page forbids eval, with which playwright waits.
        page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
        page.goto("about:blank")
        page.goto(url)
        seen = {}
        for name, holds in (
            ("the gallery is there", "document.querySelectorAll('.tile').length >= 60"),
            (
                "its visible images are painted",
                "[...document.querySelectorAll('.tile img')].every("
                "(one) => one.getBoundingClientRect().top > innerHeight || one.complete)",
            ),
        ):
            page.wait_for_function(holds)
            seen[name] = page.evaluate("performance.now()") / 1000
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        seen = {"first paint": page.evaluate(paint) / 1000, **seen}
        browser.close()
    return seen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"  # thumbnails are made anew
        with dream.open(model="tiny", outdir=f"{folder}/out", previews=True) as session:
            seconds, delays = measure(session, asked.rounds)
        for name, one in seconds.items():
            print(f"an image through {name}: {one:.3f} s, {one / seconds[SESSION]:.3f}")
        late = sorted(delays)[int(len(delays) * 0.99)] * 1000
        print(f"events: {len(delays)}, 99 of 100 within {late:.1f} ms")
        (gallery := Path(folder, "gallery")).mkdir()
        found = measure_gallery(gallery, asked.pictures)
        shown = ", ".join(f"{name} {one:.2f} s" for name, one in found.items())
        print(f"{asked.pictures:,} images: {shown}")


if __name__ == "__main__":
    main()
