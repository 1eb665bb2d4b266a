"""Made-up requests to every endpoint of the web server: each is answered with 2xx, or with a 4xx
(or 503: busy) in the door's own shape.

    python -m scripts.fuzz_web                       a hundred thousand, for some minutes
    python -m scripts.fuzz_web --cases 300 --seed 3
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import copy
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import httpx2
from PIL import Image

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.errors import EngineError
from dream.queue import LineQueue
from dream.web.access import WebOptions
from dream.web.asgi_app import create_web_app
from dream.web.services import WebServices
from scripts.fuzzing.mutations import mutate
from tests.fakes import FakeEngine, fake_session

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**9, -(10**20), 10**400, 0.5, -0.0, 1e308, "", " ", "0"),
    *("NaN", "1e999", "a" * 5000, "\ud800", "\0", "\x1b[2J", "../../etc/passwd", "/etc/passwd"),
    *(
        "!models",
        "!del_model tiny",
        "a cat -o / -n 9999",
        "http://127.0.0.1/",
        "data:image/png;base64,",
        "file:///etc/passwd",
    ),
    *([], {}, [[]], {"a": {}}, [None], ["x"] * 40, "Euler a", "auto", "(" * 300, "<lora:a:1>"),
)
PATIENCE = 60.0
"""Seconds within which an answer has to come, on a busy machine."""


def _picture() -> str:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


PICTURE = _picture()
_TEXT = {"prompt": "a", "negative_prompt": "b", "steps": 2, "width": 64, "height": 64, "seed": 1}
BODIES: Mapping[str, dict[str, Any]] = {
    "/sdapi/v1/txt2img": {
        **_TEXT,
        "cfg_scale": 7,
        "sampler_name": "Euler a",
        "scheduler": "karras",
        "n_iter": 1,
        "batch_size": 1,
        "subseed": 2,
        "subseed_strength": 0.1,
        "enable_hr": True,
        "hr_scale": 2,
        "denoising_strength": 0.5,
        "override_settings": {"sd_model_checkpoint": "tiny", "sd_vae": "Automatic"},
        "alwayson_scripts": {"x": {"args": []}},
        "styles": [],
        "tiling": True,
    },
    "/sdapi/v1/img2img": {
        **_TEXT,
        "init_images": [PICTURE],
        "mask": PICTURE,
        "mask_blur": 4,
        "inpainting_fill": 1,
        "resize_mode": 0,
        "inpainting_mask_invert": 0,
        "denoising_strength": 0.5,
    },
    "/sdapi/v1/extra-single-image": {
        "image": PICTURE,
        "upscaler_1": "None",
        "upscaling_resize": 2,
        "resize_mode": 0,
        "upscaling_resize_w": 64,
        "upscaling_resize_h": 64,
    },
    "/sdapi/v1/extra-batch-images": {"imageList": [{"data": PICTURE, "name": "a"}]},
    "/sdapi/v1/png-info": {"image": PICTURE},
    "/sdapi/v1/options": {"sd_model_checkpoint": "tiny", "sd_vae": "None", "x": 1},
    "/sdapi/v1/interrupt": {},
    "/sdapi/v1/skip": {},
    "/v1/images/generations": {
        "prompt": "a",
        "model": "gpt-image-1",
        "n": 1,
        "size": "64x64",
        "seed": 1,
        "output_format": "png",
        "response_format": "b64_json",
        "stream": False,
        "line": "-s 2",
    },
    "/v1/images/edits": {"prompt": "a", "images": [PICTURE], "mask": PICTURE, "size": "auto"},
    "/v1/images/variations": {"image": PICTURE, "n": 1},
    "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
    "/api/lines": {"line": "a cat -n2 -s20 -C5,7 --seamless"},
    "/api/check": {"line": "a cat -n2 -s20 --lora x:0.5"},
    "/api/complete": {"line": "a cat --st", "cursor": 10},
    "/api/edit": {"line": "a cat -s5", "field": "steps", "value": ["20"]},
    "/api/jobs/1/place": {"place": 0},
    "/api/pause": {"paused": False},
    "/api/link": {},
    "/api/uploads": {"image": PICTURE},
    "/api/info": {"image": PICTURE},
}
FORMS = ("/v1/images/generations", "/v1/images/edits", "/v1/images/variations")
"""Take a form as well as JSON."""
ONLY_FORMS = ("/api/uploads", "/api/info")


def main() -> int:
    """Prints what breaks the promise; 1 where something does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = list(fuzz(Path(folder), wanted.seed, wanted.cases))
    print(*findings, f"{wanted.cases:,} requests, {len(findings)} findings", sep="\n")
    return 1 if findings else 0


def fuzz(folder: Path, seed: int, cases: int) -> Iterator[str]:
    """What breaks the promise, one line each. Images fail in the engine, after all checks."""
    engine = FakeEngine(fails=lambda recipe: EngineError("no memory"))
    with fake_session(folder, engine) as session:
        queue = LineQueue(interrupt=engine.interrupt)
        runner = LineRunner(Context(session, lambda: (), COMMANDS, queue=queue), queue)
        runner.start()
        app = create_web_app(WebServices(runner, WebOptions()))
        yield from asyncio.run(_send_all(app, queue, Random(seed), cases))
        queue.close()
        runner.wait(10)


async def _send_all(app: Any, queue: LineQueue, random: Random, cases: int) -> list[str]:
    findings = []
    transport = httpx2.ASGITransport(app=app)
    # Jobs wake their readers in this event loop, as the server's lifespan has it.
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
        Lifespan(app),
    ):
        for number in range(cases):
            queue.resume()  # a request that waits for its images would wait for ever
            path, content, kind = make_request(random)
            headers = {"Content-Type": kind, "Accept": "application/json, text/event-stream"}
            try:
                posted = client.post(path, content=content, headers=headers)
                wrong = _judge(path, await asyncio.wait_for(posted, PATIENCE))
            except TimeoutError:
                wrong = f"no answer within {PATIENCE:.0f} s"
            if wrong:
                findings.append(f"case {number}: {path}: {wrong}: {content[:300]!r}")
    return findings


class Lifespan:
    """The application's lifespan, as a server runs it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to, self._from = asyncio.Queue[Any](), asyncio.Queue[Any]()

    async def __aenter__(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.create_task(self._app(scope, self._to.get, self._from.put))
        await self._to.put({"type": "lifespan.startup"})
        assert (await self._from.get())["type"] == "lifespan.startup.complete"

    async def __aexit__(self, *raised: object) -> None:
        await self._to.put({"type": "lifespan.shutdown"})
        await self._task


def make_request(random: Random) -> tuple[str, bytes, str]:
    """A path, a body, and its kind."""
    path = random.choice(list(BODIES))
    body = copy.deepcopy(BODIES[path])
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        _change(random, body)
    if path in ONLY_FORMS or (path in FORMS and random.random() < 0.2):
        content, boundary = _make_form(random, body), "x"
        return path, content, f"multipart/form-data; boundary={boundary}"
    content = json.dumps(body).encode()
    if random.random() < 0.3:
        content = mutate(random, content, (b'"prompt"', b"null", b"NaN", b"Infinity", b"{", b"["))
    return path, content[: 1 << 20], "application/json"


def _change(random: Random, body: dict[str, Any]) -> None:
    names = [*body, "x"]
    name = random.choice(names)
    value = body.get(name)
    if isinstance(value, dict) and random.random() < 0.7:
        _change(random, value)
    elif isinstance(value, list) and value and random.random() < 0.5:
        value[random.randrange(len(value))] = copy.deepcopy(random.choice(HOSTILE))
    elif random.random() < 0.15:
        body.pop(name, None)
    elif isinstance(value, str) and random.random() < 0.3:
        body[name] = mutate(random, value.encode(errors="replace")).decode("latin-1")[:100_000]
    else:
        body[name] = copy.deepcopy(random.choice(HOSTILE))


def _make_form(random: Random, body: Mapping[str, Any]) -> bytes:
    parts = []
    for name, value in body.items():
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"'
        if name in ("image", "images", "mask"):
            head = head.replace("images", "image[]") + '; filename="a.png"'
            data = base64.b64decode(PICTURE)
        else:
            data = str(value)[:1000].encode(errors="replace")
        parts.append(head.encode() + b"\r\n\r\n" + data + b"\r\n")
    content = b"".join(parts) + b"--x--\r\n"
    return mutate(random, content) if random.random() < 0.5 else content


def _judge(path: str, answer: httpx2.Response) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if answer.status_code < 300:
        return ""
    if not 400 <= answer.status_code < 500 and answer.status_code != 503:
        return f"status {answer.status_code}: {answer.text[:200]}"
    if path == "/mcp":
        return ""  # the library's own
    try:
        body = answer.json()
    except ValueError:
        return f"{answer.status_code} is not JSON: {answer.text[:200]}"
    if path.startswith("/sdapi/"):
        shaped = isinstance(body.get("detail"), str)
    elif path.startswith("/v1/"):
        shaped = set(body["error"]) == {"message", "type", "param", "code"}
    else:
        shaped = isinstance(body.get("error"), str)
    return "" if shaped else f"{answer.status_code} in another shape: {answer.text[:200]}"


if __name__ == "__main__":
    sys.exit(main())
