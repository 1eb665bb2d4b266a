"""The server: what a door costs, how late events are, and how soon a large gallery is there.

    python -m benchmarks.web [--rounds N] [--pictures N]

An image through each door against the same line in the session (at most 1.05 of it, with the
included model); the delay from the session's event to a client's (99 of 100 within 50 ms); the page
with a gallery of 10,000 images: by HTTP, and where there is chromium, when the browser has painted
it (at most 1 s).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
from anyio.from_thread import start_blocking_portal
from mcp import Client
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
from dream.web.web_server import WebServer, serve

PROMPT = "a red circle on a blue background"
SESSION = "the session"
Make = Callable[[int], None]
"""Makes the image of a seed, and returns when the client has it."""


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
        with open_doors(server, times, delays) as doors:
            ways: dict[str, Make] = {SESSION: lambda seed: make_in_session(session, seed), **doors}
            for make in ways.values():
                make(next(seeds))  # loads the model, and libraries
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                seed = next(seeds)
                for name, make in ways.items():
                    began = time.monotonic()
                    make(seed)
                    seconds[name].append(time.monotonic() - began)
        queue.close()
        runner.wait(10)
    return {name: statistics.median(found) for name, found in seconds.items()}, delays


def make_in_session(session: Session, seed: int) -> None:
    """Without any door."""
    list(session.make(f"{PROMPT} -S{seed}"))


@contextmanager
def open_doors(
    server: WebServer, times: StepTimes, delays: list[float]
) -> Iterator[Mapping[str, Make]]:
    """Ways to make an image over HTTP, with connected clients."""
    ended, listening = threading.Event(), threading.Event()
    with ExitStack() as stack:
        http = stack.enter_context(httpx2.Client(base_url=server.url, timeout=300))

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

        def make_by_line(seed: int) -> None:
            ended.clear()
            http.post("/api/lines", json={"line": f"{PROMPT} -S{seed}"}).raise_for_status()
            ended.wait()

        def post(path: str) -> Make:
            def make(seed: int) -> None:
                http.post(path, json={"prompt": PROMPT, "seed": seed}).raise_for_status()

            return make

        portal = stack.enter_context(start_blocking_portal())
        agent = stack.enter_context(
            portal.wrap_async_context_manager(
                Client(f"{server.url}mcp", read_timeout_seconds=300)  # the library starts slowly
            )
        )

        def make_by_tool(seed: int) -> None:
            answer = portal.call(
                agent.call_tool, "generate_image", {"prompt": PROMPT, "seed": seed}
            )
            assert not answer.is_error, answer

        threading.Thread(target=listen, daemon=True).start()
        listening.wait()
        yield {
            "/api/lines": make_by_line,
            "/sdapi/v1": post("/sdapi/v1/txt2img"),
            "/v1/images": post("/v1/images/generations"),
            "/mcp": make_by_tool,
        }


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
