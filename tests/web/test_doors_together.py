"""The server beside the prompt, and alone: one queue, and it ends as everything ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from dream.cli import app
from dream.core.errors import WRONG_LINE
from dream.queue.queue_file import FILE_NAME
from dream.web.left_lines import LeftLines
from tests.fakes import fake_session
from tests.terminal.pseudo import ROOT, Terminal
from tests.web.serving import serve_fake, serve_session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, pseudo-terminals")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")
SESSION = "tests.web.doors_session"


def test_the_prompt_and_the_page_share_one_queue(tmp_path: Path) -> None:
    terminal = Terminal("-m", SESSION, str(tmp_path), "beside", "0.02", columns=200)
    try:
        terminal.see("web page: http://127.0.0.1:")
        address = _ADDRESS.search("\n".join(terminal.rows()))
        assert address is not None
        with httpx2.Client(base_url=address[0], timeout=30) as http:
            assert http.post("/api/lines", json={"line": "from the page -S5"}).status_code == 202
            terminal.see("000001.5.png")  # at the prompt
            terminal.send("from the prompt -S6 -n3\r")
            terminal.see("000002.6.png")
            with http.stream("GET", "/api/events"):  # a page is open while the prompt ends
                jobs = http.get("/api/jobs").json()
                lines = [job["line"] for job in [*jobs["finished"], jobs["running"]] if job]
                assert {"from the page -S5", "from the prompt -S6 -n3"} == set(lines)
                terminal.until(
                    lambda: http.get("/api/jobs").json()["running"] is None, "end of the line"
                )
                terminal.send("q\r")
                assert terminal.end() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_alone_it_ends_by_a_signal_and_keeps_its_lines(
    tmp_path: Path, number: int, status: int
) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", SESSION, str(tmp_path), "alone", "0.5"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert server.stderr is not None
        address = _ADDRESS.search(server.stderr.readline())
        assert address is not None
        with httpx2.Client(base_url=address[0], timeout=30) as http:
            body = {"prompt": "secret words", "eta": 0.5, "seed": 7, "steps": 1}
            assert http.post("/sdapi/v1/txt2img", json=body).status_code == 200
            for line in ("first -n9", "second"):
                assert http.post("/api/lines", json={"line": line}).status_code == 202
            with http.stream("GET", "/api/events") as events:
                next(events.iter_lines())
                server.send_signal(number)
                assert server.wait(60) == status
        said = server.stderr.read()
        assert "2 lines kept for the next session here" in said
        assert "eta is not supported and was ignored" in said and "000001.7.png" in said
        assert "secret words" not in said
        left = tmp_path / "outputs" / FILE_NAME
        assert left.read_text() == "first -n9\nsecond\n"
    finally:
        server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()


def test_what_was_left_is_offered_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    file = tmp_path / "outputs" / FILE_NAME
    file.write_text("a cat -S5\n!del_model tiny --files\na dog -I /etc/passwd\n")
    left = LeftLines(file.parent, print)
    with fake_session(tmp_path) as session, serve_session(session, left=left) as served:
        lines = ["a cat -S5", "a dog -I /etc/passwd"]
        assert served.http.get("/api/state").json()["left"] == lines
        assert file.exists(), "nobody has decided yet"
        answer = served.post("/api/left", run=True).json()
        assert [one["line"] for one in answer["refused"]] == lines[1:]
        assert served.wait(answer["jobs"][0])["state"] == "done"
        assert served.http.get("/api/state").json()["left"] == [] and not file.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--web", "a cat"], "cannot be combined"),
        (["--web", "7860", "a", "cat"], "cannot be combined"),
        (["--web", "--dry_run"], "cannot be combined"),
        (["--web", "0.0.0.0:7860"], "needs a token"),
        (["--web", "--token", "short"], "at least 12"),
    ],
)
def test_what_web_cannot_be_combined_with(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(options) == WRONG_LINE
    assert message in capsys.readouterr().err


def test_an_address_that_is_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serve_fake(tmp_path) as served:
        status = app.main(["--web", str(served.server.address), "-o", str(tmp_path / "out")])
    assert status == WRONG_LINE
    assert "in use" in capsys.readouterr().err
