"""The web server's doors, with the included model, over workers of a real Ray cluster."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.core.events import Note
from dream.core.request import Request
from dream.session import Session
from tests.web.serving import Served, read_events, serve_session
from tests.web.test_sdapi import decode

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

TIMEOUT = 300
"""Seconds between two events; torch is imported meanwhile."""


@pytest.fixture(scope="module")
def served(
    pool: Any, registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("web")
    base = Request(outdir=str(folder / "outputs"), model="tiny", steps=4, threads=1)
    with serve_session(Session(pool, registry, base)) as served:
        served.http.timeout = TIMEOUT
        yield served


def start(served: Served, line: str) -> int:
    answer = served.post("/api/lines", line=line)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["job"])


def wait_for_step(served: Served, job: int) -> dict[str, Any]:
    """The first step of a job."""
    with served.http.stream("GET", "/api/events") as stream:
        for event in read_events(stream.iter_lines()):
            if event["event"] == "step" and event.get("job") == job:
                return event
    raise AssertionError("the events ended")


def test_a_line_is_rendered_with_live_progress(served: Served) -> None:
    job = start(served, "a red circle -n2 -S42 -s40 -W64 -H64")
    assert wait_for_step(served, job)["steps"] == 40
    preview = served.http.get(f"/api/jobs/{job}/preview")
    assert preview.status_code == 200 and Image.open(io.BytesIO(preview.content)).width >= 8
    done = served.wait(job)
    assert done["state"] == "done" and done["pictures"] == 2, done
    images = [served.http.get(f"/pictures/{saved['name']}") for saved in done["saved"]]
    assert [Image.open(io.BytesIO(image.content)).size for image in images] == [(64, 64)] * 2


def test_a_job_is_cancelled_and_the_next_one_runs(served: Served) -> None:
    job = start(served, "a red circle -S1 -s500 -W64 -H64")
    wait_for_step(served, job)
    assert served.http.delete(f"/api/jobs/{job}").is_success
    assert served.wait(job)["state"] == "cancelled"
    assert served.make("a red circle -S2 -s2 -W64 -H64")["state"] == "done"


def test_a1111s_clients_are_answered(served: Served) -> None:
    answer = served.post(
        "/sdapi/v1/txt2img", prompt="a cat", seed=7, n_iter=2, steps=2, width=64, height=64
    )
    assert answer.status_code == 200, answer.text
    assert [decode(image).size for image in answer.json()["images"]] == [(64, 64)] * 2
    assert served.http.get("/sdapi/v1/progress").json()["progress"] == 0


def test_a_worker_that_dies_is_reported_and_its_image_rendered_again(
    ray: Any, pool: Any, served: Served
) -> None:
    job = start(served, "a red circle -S3 -s60 -W64 -H64")
    name = wait_for_step(served, job)["worker"]
    described = ray.get(pool._workers[name]._actor.describe.remote())
    os.kill(described["pid"], signal.SIGKILL)
    done = served.wait(job)
    assert done["state"] == "done" and done["pictures"] == 1
    events = served.server.services.jobs.get(job).events  # type: ignore[union-attr]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0] == f"worker {name} died (its actor ended); rendering this image again"
