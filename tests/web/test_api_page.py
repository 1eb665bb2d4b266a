"""Each line of docs/api.md, as it stands there, run by bash and curl against a server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.web.serving import Served, serve_fake

BASH, CURL = shutil.which("bash"), shutil.which("curl")
pytestmark = pytest.mark.skipif(not (BASH and CURL), reason="there is no bash or no curl here")

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
FUNCTION, *LINES = [line for block in BLOCKS for line in block.splitlines() if line]
SAY_STATUS = """curl() { command curl --max-time "$MOST" -w '\\n%{http_code}' "$@"; }"""
JOBS_BEFORE = 16


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with what the page speaks of: an image 000001.42.png, and a waiting job 17."""
    folder = tmp_path_factory.mktemp("page")
    with serve_fake(folder) as served:
        served.make("a cat -S42")
        for _ in range(JOBS_BEFORE - 1):
            job = served.post("/api/lines", line="a cat -s1").json()["job"]
        served.wait(job)
        for name in ("cat.png", "mask.png"):
            Image.new("RGBA", (64, 64), (200, 90, 20, 0 if "mask" in name else 255)).save(
                folder / name
            )
        yield served


def run(line: str, served: Served, most: int = 20) -> tuple[int, str]:
    """The status and the body of what curl received."""
    port = str(served.server.address.port)
    script = "\n".join((SAY_STATUS, FUNCTION, line)).replace("7860", port)
    done = subprocess.run(
        [str(BASH), "-c", script],
        cwd=served.session.outdir.parent,
        env={"PATH": "/usr/bin:/bin", "MOST": str(most), "CURSOR": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_every_line_of_the_page_is_answered(served: Served) -> None:
    """With the keys that its comment promises."""
    assert len(LINES) > 20
    served.post("/api/pause", paused=True)
    for line in LINES:
        if "/sdapi/" in line:  # from here on, answers wait for their images
            served.post("/api/pause", paused=False)
        ends = "/api/events" not in line
        status, body = run(line, served, 20 if ends else 1)
        if "/preview" in line:
            assert status == 404, "a job that waits has none"
            continue
        assert status < 300, f"{line}: {status} {body}"
        comment = line.rpartition("# ")[2] if " # " in line else ""
        for key in re.findall(r'"(\w+)"', comment.partition("}")[0]):
            assert f'"{key}"' in body, f"{line}: no {key} in {body[:300]}"
        if '"job": 17' in comment:
            assert json.loads(body)["job"] == 17
