"""Our own API, over a real port."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dream.core.recipe import Recipe
from dream.engine.interface import Progress
from tests.web.serving import PreviewingEngine, Served, read_events, serve_fake


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serve_fake(tmp_path) as served:
        yield served


class Held(PreviewingEngine):
    """Waits before its second step until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()
        self.on_step = self._wait

    def _wait(self, progress: Progress) -> None:
        if progress.step == 2:
            self.reached.set()
            while not (self.go.wait(0.01) or self.interrupted.is_set()):
                pass
            self.interrupted.clear()


def png(size: tuple[int, int] = (8, 6), colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def test_a_line_becomes_a_picture(served: Served) -> None:
    job = served.make("a cat -n2 -S42")
    assert job["state"] == "done" and job["pictures"] == 2
    names = [saved["name"] for saved in job["saved"]]
    assert names[0] == "000001.42.png" and len(names) == 2
    listed = served.http.get("/api/pictures").json()["pictures"]
    assert [one["name"] for one in listed] == names[::-1]
    assert listed[1]["line"].startswith('"a cat"') and "-S42" in listed[1]["line"]
    image = served.http.get("/pictures/000001.42.png")
    assert image.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(image.content)).size == (64, 64)
    thumbnail = served.http.get("/thumbnails/000001.42.png")
    assert Image.open(io.BytesIO(thumbnail.content)).format == "WEBP"
    assert served.http.get(
        "/pictures/000001.42.png", headers={"If-None-Match": image.headers["etag"]}
    )


def test_what_is_wrong_with_a_line_has_its_column(served: Served) -> None:
    answer = served.post("/api/lines", line="a cat -s0")
    assert answer.status_code == 400
    assert answer.json()["column"] == 9 and "-s" in answer.json()["error"]
    check = served.post("/api/check", line="a cat -s0 ").json()
    assert check["wrong"] and check["column"] == 9
    check = served.post("/api/check", line="a cat -n3 -U2").json()
    assert check.pop("values") == {"iterations": ["3"], "upscale": ["2", "0.75"]}
    assert check == {
        "text": "3 images, 64×64 → 128×128, 3 steps",
        "wrong": False,
        "column": 0,
    }


def test_a_command_answers_at_once(served: Served) -> None:
    answer = served.post("/api/lines", line="!models")
    (page,) = answer.json()["events"]
    assert answer.status_code == 200 and "tiny" in str(page["lines"])


def test_events_are_continued_where_a_client_stopped(served: Served) -> None:
    first = served.make("a cat -S1")
    with served.http.stream("GET", "/api/events") as stream:
        reset = next(read_events(stream.iter_lines()))
    assert reset["event"] == "reset"
    second = served.make("a dog -S2")
    headers = {"Last-Event-ID": reset["id"]}
    with served.http.stream("GET", "/api/events", headers=headers) as stream:
        seen = []
        for event in read_events(stream.iter_lines()):
            seen.append(event)
            if event["event"] == "ended":
                break
    jobs = {event["job"] for event in seen if "job" in event}
    assert jobs == {second["job"]} and first["job"] not in jobs
    (saved,) = [event for event in seen if event["event"] == "saved"]
    assert saved["name"] == "000002.2.png" and "path" not in saved
    other = {"Last-Event-ID": "another-5"}
    with served.http.stream("GET", "/api/events", headers=other) as stream:
        assert next(read_events(stream.iter_lines()))["event"] == "reset"


def test_the_queue_is_reordered_paused_and_cancelled(tmp_path: Path) -> None:
    engine = Held()
    with serve_fake(tmp_path, engine) as served:
        running = served.post("/api/lines", line="one").json()["job"]
        assert engine.reached.wait(5)
        second, third = (
            served.post("/api/lines", line=line).json()["job"] for line in ("two", "three")
        )
        state = served.http.get("/api/state").json()
        assert state["running"]["job"] == running and state["running"]["step"]["step"] == 1
        assert [job["job"] for job in state["waiting"]] == [second, third]
        preview = served.http.get(f"/api/jobs/{running}/preview")
        assert Image.open(io.BytesIO(preview.content)).size == (8, 8)
        moved = served.post(f"/api/jobs/{third}/place", place=0).json()
        assert [job["job"] for job in moved["waiting"]] == [third, second]
        assert served.http.delete(f"/api/jobs/{second}").status_code == 200
        assert served.wait(second)["state"] == "cancelled"
        assert served.post("/api/pause", paused=True).json() == {"paused": True}
        served.http.delete(f"/api/jobs/{running}")
        assert served.wait(running)["state"] == "cancelled"
        assert served.http.get(f"/api/jobs/{third}").json()["state"] == "waiting"
        engine.go.set()
        served.post("/api/pause", paused=False)
        assert served.wait(third)["state"] == "done"
        assert served.post(f"/api/jobs/{third}/place", place=0).status_code == 409


def test_an_upload_is_an_input_image(served: Served) -> None:
    answer = served.http.post("/api/uploads", files={"image": ("../../x.exe", png((64, 64)))})
    upload = answer.json()
    assert answer.status_code == 201 and upload["width"] == 64
    again = served.http.post("/api/uploads", files={"image": ("y.png", png((64, 64)))}).json()
    assert again["name"] == upload["name"] and upload["name"].startswith("inputs/")
    assert served.http.get(f"/uploads/{upload['name'].partition('/')[2]}").status_code == 200
    job = served.make(f"a cat -I {upload['name']}")
    assert job["state"] == "done"
    assert served.engine.rendered[-1].init_img == str(served.session.outdir / upload["name"])
    bad = served.http.post("/api/uploads", files={"image": ("x.png", b"no image")})
    assert bad.status_code == 400 and "the upload is not an image" in bad.json()["error"]


def test_only_images_of_this_dream_are_deleted_and_only_when_confirmed(served: Served) -> None:
    served.make("a cat -S1")
    foreign = served.session.outdir / "mine.png"
    foreign.write_bytes(png())
    delete = lambda name, confirm: served.http.request(  # noqa: E731
        "DELETE", f"/api/pictures/{name}", json={"confirm": confirm}
    )
    assert delete("000001.1.png", "").status_code == 400
    assert delete("mine.png", "mine.png").status_code == 403 and foreign.exists()
    assert delete("000001.1.png", "000001.1.png").status_code == 200
    assert [one["name"] for one in served.http.get("/api/pictures").json()["pictures"]] == [
        "mine.png"
    ]
    assert "a cat" in (served.session.outdir / "dream_log.txt").read_text()


def test_the_record_of_another_programs_image(served: Served) -> None:
    data = Path("tests/data/foreign")
    sample = next(data.glob("a1111*.png"))
    answer = served.http.post("/api/info", files={"image": ("x.png", sample.read_bytes())}).json()
    assert answer["line"] and answer["tool"] == "AUTOMATIC1111"
    assert served.http.post("/api/info", files={"image": ("x.png", b"x")}).status_code == 400


def test_pages_of_the_gallery_are_whole(served: Served) -> None:
    for number in range(7):
        (served.session.outdir).mkdir(exist_ok=True)
        (served.session.outdir / f"{number}.png").write_bytes(png())
    seen, before = [], ""
    while True:
        page = served.http.get("/api/pictures", params={"before": before, "count": 3}).json()
        seen += [one["name"] for one in page["pictures"]]
        if not (before := page["before"]):
            break
    assert seen == [f"{number}.png" for number in reversed(range(7))]


def test_health_and_state(served: Served) -> None:
    assert served.http.get("/health").json()["status"] == "ok"
    state = served.http.get("/api/state").json()
    assert state["model"] == "tiny" and state["running"] is None and not state["paused"]
    assert {one["name"] for one in served.http.get("/api/models").json()["models"]} == {
        "tiny",
        "twin",
    }


def test_a_clients_waiting_jobs_are_limited(tmp_path: Path) -> None:
    engine = Held()
    with serve_fake(tmp_path, engine) as served:
        answers = [served.post("/api/lines", line="a cat") for _ in range(33)]
        assert [answer.status_code for answer in answers] == [202] * 32 + [429]
        assert answers[-1].headers["retry-after"] == "5"
        served.server.services.queue.cancel_all()
        engine.go.set()


def test_a_failed_picture_is_a_failed_job(tmp_path: Path) -> None:
    def fails(recipe: Recipe) -> None:
        raise ZeroDivisionError(f"of {recipe.seed}")

    with serve_fake(tmp_path, PreviewingEngine(fails=fails)) as served:
        job = served.make("a cat -S7")
    assert job["state"] == "failed" and "ZeroDivisionError: of 7" in job["error"]


def test_the_server_stops_while_clients_listen(tmp_path: Path) -> None:
    with serve_fake(tmp_path) as served:
        stream = served.http.stream("GET", "/api/events")
        events = stream.__enter__()
        next(events.iter_lines())
        began = time.process_time()
    assert time.process_time() - began < 5


def test_a_line_is_completed_and_edited(served: Served) -> None:
    served.make("a cat -S5")
    offers = served.post("/api/complete", line="a cat --ste", cursor=11).json()["offers"]
    assert [(one["text"], one["start"]) for one in offers] == [("--steps", 6)]
    images = served.post("/api/complete", line="a cat -I 0", cursor=10).json()["offers"]
    assert [one["text"] for one in images] == ["000001.5.png"]
    commands = served.post("/api/complete", line="!", cursor=1).json()["offers"]
    names = {one["text"] for one in commands}
    assert "!models" in names and not names & {"!del_model", "!import_model", "!open"}
    edited = served.post("/api/edit", line="a cat -s5", field="steps", value=["7"])
    assert edited.json() == {"line": "a cat -s7"}
    assert served.post("/api/edit", line="a cat", field="steps", value=["x"]).status_code == 400
    assert served.post("/api/edit", line="a cat", field="steps", value=3).status_code == 400


def test_one_image_is_verified(served: Served) -> None:
    served.make("a cat -S5")
    job = served.post("/api/lines", line="!verify 000001.5.png").json()["job"]
    assert served.wait(job)["state"] == "done"
    (verified,) = [
        event
        for event in served.server.services.require_job(job).events
        if event.name == "verified"
    ]
    assert verified.to_json()["same"]
