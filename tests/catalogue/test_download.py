from __future__ import annotations

import base64
import hashlib
import http.server
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dream
from dream.catalogue import download as fetching
from dream.catalogue.addresses import is_plain_name
from dream.catalogue.download import fetch, fetch_file_name, ignore_progress
from dream.catalogue.hub import HubId, download
from dream.core.errors import FetchError, ModelError
from tests.catalogue.hub_stub import Hub, hub_at_home
from tests.catalogue.server import Release, at_home, serving

BODY = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    monkeypatch.setenv("no_proxy", "*")
    with serving(Release(BODY)) as release:
        yield release


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "upscalers" / "net.pth"


def visible(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.iterdir() if not p.name.startswith("."))


def get(release: Release, target: Path) -> list[tuple[int, int]]:
    """Fetch with everything known, and what progress was told."""
    progress: list[tuple[int, int]] = []
    fetch(
        release.url,
        target,
        size=len(BODY),
        sha256=SHA256,
        on_progress=lambda *at: progress.append(at),
        timeout=5,
    )
    return progress


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("", "net.pth"),
        ('attachment; filename="v1 fine.safetensors"', "v1 fine.safetensors"),
        ("attachment; filename*=UTF-8''v%C3%A91.ckpt", "v\u00e91.ckpt"),
        ('attachment; filename="../../etc/v1.ckpt"', "v1.ckpt"),
        ('attachment; filename="C:\\\\v1.ckpt"', "v1.ckpt"),
    ],
)
def test_a_server_says_what_a_file_is_called(release: Release, disposition: str, name: str) -> None:
    release.disposition = disposition
    assert fetch_file_name(release.url) == name


def test_a_name_that_cannot_be_asked_for_is_one_line(release: Release) -> None:
    release.status = 404
    with pytest.raises(FetchError, match="returned 404"):
        fetch_file_name(release.url)
    with pytest.raises(FetchError, match="is not https"):
        fetch_file_name("http://example.org/v1")


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(release: Release, target: Path) -> None:
    progress = get(release, target)
    assert target.read_bytes() == BODY
    assert visible(target) == ["net.pth"]
    assert progress[0] == (0, len(BODY)) and progress[-1] == (len(BODY), len(BODY))
    assert progress == sorted(progress)


def test_a_file_that_is_there_is_not_asked_for(release: Release, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    assert get(release, target) == []
    assert release.requests == [] and target.read_bytes() == b"mine"


@pytest.mark.parametrize("length", [True, False])
def test_nothing_need_be_known_of_a_file(release: Release, target: Path, length: bool) -> None:
    release.length = length
    fetch(release.url, target)
    assert target.read_bytes() == BODY


def test_a_cut_download_says_so_and_is_resumed(release: Release, target: Path) -> None:
    release.cut_after = 300_000
    with pytest.raises(FetchError) as caught:
        get(release, target)
    message = str(caught.value)
    assert (
        "lost after 300,000 of 1,000,000 bytes; the next download continues from there" in message
    )
    assert f"or download {release.url} to {target} yourself" in message
    assert "\n" not in message
    assert not target.exists()

    release.cut_after = None
    assert get(release, target)[0] == (300_000, len(BODY))
    assert target.read_bytes() == BODY
    assert release.requests == [("", ""), ("bytes=300000-", '"one"')]
    assert visible(target) == ["net.pth"]


def test_a_server_without_ranges_is_asked_for_all_of_it(release: Release, target: Path) -> None:
    release.cut_after, release.ranges = 300_000, False
    with pytest.raises(FetchError):
        get(release, target)
    release.cut_after = None
    assert get(release, target)[0] == (0, len(BODY))
    assert target.read_bytes() == BODY


def test_a_new_version_on_the_server_is_begun_anew(release: Release, target: Path) -> None:
    release.body, release.cut_after = bytes(len(BODY)), 300_000
    with pytest.raises(FetchError):
        get(release, target)
    release.body, release.cut_after, release.etag = BODY, None, '"two"'
    assert get(release, target)[0] == (0, len(BODY))
    assert target.read_bytes() == BODY


def test_without_a_version_or_checksum_nothing_is_resumed(release: Release, target: Path) -> None:
    release.etag, release.cut_after = 'W/"weak"', 300_000
    with pytest.raises(FetchError):
        fetch(release.url, target)
    release.cut_after = None
    fetch(release.url, target)
    assert release.requests == [("", ""), ("", "")]
    assert target.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(release: Release, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("net.pth.part").write_bytes(BODY + b"more")
    get(release, target)
    assert target.read_bytes() == BODY


def test_a_whole_part_is_checked_and_kept_without_asking(release: Release, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("net.pth.part").write_bytes(BODY)
    get(release, target)
    assert release.requests == [] and target.read_bytes() == BODY


def test_a_wrong_hash_removes_what_came_and_names_both(release: Release, target: Path) -> None:
    release.body = BODY[::-1]
    with pytest.raises(FetchError) as caught:
        get(release, target)
    assert SHA256 in str(caught.value)
    assert hashlib.sha256(release.body).hexdigest() in str(caught.value)
    assert visible(target) == []


def test_a_wrong_length_is_seen_before_it_is_fetched(release: Release, target: Path) -> None:
    release.body = b"<html>please sign in</html>"
    with pytest.raises(FetchError, match="sends a different file: 27 bytes"):
        get(release, target)
    assert visible(target) == []


def test_not_found_is_said_with_the_place_for_the_file(release: Release, target: Path) -> None:
    release.status = 404
    with pytest.raises(FetchError, match=r"returned 404 Not Found .*or download .* yourself"):
        get(release, target)


def test_no_server_and_no_network_are_one_line(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(FetchError, match="cannot be reached: Connection refused"):
            fetch(f"http://127.0.0.1:{port}/net.pth", target)

    def unknown(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        FetchError, match=r"there is no network connection, or github\.com does not exist"
    ):
        fetch("https://github.com/net.pth", target)


def test_a_server_that_falls_silent_is_given_up(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/net.pth"
        with pytest.raises(FetchError, match="does not respond"):
            fetch(url, target, timeout=0.2)


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "ftp://example.com/x", "file:///etc/passwd", "x", "http:///x"]
)
def test_only_https_is_asked(target: Path, url: str) -> None:
    with pytest.raises(FetchError, match="its address is not https"):
        fetch(url, target)
    assert not target.parent.exists()


@pytest.mark.parametrize("location", ["http://example.com/x", "ftp://example.com/x"])
def test_only_https_is_followed(release: Release, target: Path, location: str) -> None:
    release.location = location
    with pytest.raises(FetchError, match="it redirects to an address that is not https"):
        get(release, target)
    assert visible(target) == []


def test_a_redirect_is_followed_with_its_range(release: Release, target: Path) -> None:
    release.cut_after = 300_000
    with pytest.raises(FetchError):
        get(release, target)
    release.cut_after = None
    with serving(Release(b"", location=release.url)) as front:
        get(front, target)
    assert release.requests[-1] == ("bytes=300000-", '"one"')
    assert target.read_bytes() == BODY


def test_a_cancelled_download_keeps_what_has_arrived(release: Release, target: Path) -> None:
    def cancel(arrived: int, of: int) -> None:
        if arrived:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(release.url, target, sha256=SHA256, on_progress=cancel)
    assert get(release, target)[0][0] > 0
    assert target.read_bytes() == BODY


def test_a_full_disk_is_said_and_resumed_from(release: Release, target: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from dream.catalogue.download import fetch\n"
        "from dream.core.errors import FetchError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "try:\n"
        f"    fetch(sys.argv[1], Path(sys.argv[2]), size={len(BODY)}, sha256={SHA256!r})\n"
        "except FetchError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, release.url, str(target)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(dream.__file__).parents[1])},
    )
    assert f"File too large, in {target.parent}, after 400,000 bytes" in done.stdout
    assert not target.exists()
    assert get(release, target)[0] == (400_000, len(BODY))
    assert target.read_bytes() == BODY


def test_a_folder_that_cannot_be_made_is_said(release: Release, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match=r"could not be downloaded: .* in "):
        get(release, tmp_path / "file" / "net.pth")


def test_programs_that_want_the_same_file_take_turns(release: Release, target: Path) -> None:
    failures: list[BaseException] = []

    def one() -> None:
        try:
            get(release, target)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert target.read_bytes() == BODY
    assert len(release.requests) == 1


# ── servers that mean harm, or do not know ─────────────────────────────────────────────────────


@contextmanager
def answering(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers every question so; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with at_home(Handler) as address:
        yield address


def test_a_rest_of_a_file_whose_length_nobody_says_is_never_taken_for_the_whole(
    release: Release, target: Path
) -> None:
    """`Content-Range: bytes N-M/*`, of a server that cut the first answer."""
    requests: list[str] = []

    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        wanted = to.headers.get("Range", "")
        requests.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        to.send_response(206 if start else 200)
        if start:
            to.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/*")
        to.send_header("ETag", '"v1"')
        to.send_header("Content-Length", str(len(BODY) - start))
        to.end_headers()
        to.wfile.write(BODY[start:] if len(requests) > 2 else BODY[start : start + 1000])

    with answering(answer) as url:
        for message in ("was lost after 1,000", "does not send the size"):
            with pytest.raises(FetchError, match=message):
                fetch(f"{url}/net.pth", target)
            assert not target.exists()
        fetch(f"{url}/net.pth", target)
    assert target.read_bytes() == BODY
    assert requests == ["", "bytes=1000-", ""]


@pytest.mark.parametrize(
    ("etag", "content_range"),
    [
        ('"two"', f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"),  # If-Range is ignored
        ("", f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"),
        ('"one"', f"bytes=1000-{len(BODY) - 1}/{len(BODY)}"),  # not as RFC 9110 has it
        ('"one"', ""),
        ('"one"', f"bytes 500-{len(BODY) - 1}/{len(BODY)}"),
    ],
)
def test_a_rest_that_may_be_of_another_version_is_not_appended(
    target: Path, etag: str, content_range: str
) -> None:
    requests: list[str] = []

    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        requests.append(to.headers.get("Range", ""))
        start = 1000 if requests[-1] else 0
        to.send_response(206 if start else 200)
        if start and content_range:
            to.send_header("Content-Range", content_range)
        if etag:
            to.send_header("ETag", etag)
        to.send_header("Content-Length", str(len(BODY) - start))
        to.end_headers()
        with suppress(OSError):  # it is not read to its end
            to.wfile.write(BODY[start:])

    target.parent.mkdir(parents=True)
    target.with_name("net.pth.part").write_bytes(bytes(1000))
    target.with_name("net.pth.part.etag").write_text('"one"')
    with answering(answer) as url:
        fetch(f"{url}/net.pth", target)
    assert target.read_bytes() == BODY
    assert requests == ["bytes=1000-", ""]


@pytest.mark.parametrize("content_range", ["bytes 0-999/*", "bytes 0-999", ""])
def test_a_part_that_nobody_asked_for_is_not_the_whole(target: Path, content_range: str) -> None:
    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(206)
        if content_range:
            to.send_header("Content-Range", content_range)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        to.wfile.write(BODY[:1000])

    with answering(answer) as url, pytest.raises(FetchError, match="does not send the size"):
        fetch(f"{url}/net.pth", target)
    assert not target.exists()


def test_no_tag_of_a_new_version_stands_beside_an_old_part(
    release: Release, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the program between the two."""
    release.cut_after = 1000
    with pytest.raises(FetchError):
        get(release, target)
    part, tag = target.with_name("net.pth.part"), target.with_name("net.pth.part.etag")
    before = part.read_bytes()
    release.etag, release.cut_after = '"two"', None
    opened = Path.open

    def ended(path: Path, *rest: Any, **more: Any) -> Any:
        if path == part and rest and rest[0] == "wb":
            raise KeyboardInterrupt
        return opened(path, *rest, **more)

    monkeypatch.setattr(Path, "open", ended)
    with pytest.raises(KeyboardInterrupt):
        get(release, target)
    assert (part.read_bytes(), tag.read_text()) == (before, '"one"')


@pytest.mark.parametrize("tag", [b"", b"\xff\xfe", b'"a\r\nX: y"', b'W/"weak"', b"a" * 5000])
def test_a_torn_tag_is_no_tag(release: Release, target: Path, tag: bytes) -> None:
    target.parent.mkdir(parents=True)
    target.with_name("net.pth.part").write_bytes(BODY[:1000])
    target.with_name("net.pth.part.etag").write_bytes(tag)
    fetch(release.url, target)
    assert target.read_bytes() == BODY
    assert release.requests == [("", "")]


@pytest.mark.parametrize("message", [100, 0])
def test_no_more_is_taken_than_was_said_or_is_possible(
    target: Path, monkeypatch: pytest.MonkeyPatch, message: int
) -> None:
    monkeypatch.setattr(fetching, "_MAX_BYTES", 100)

    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                to.wfile.write(bytes(100_000))

    with answering(answer) as url, pytest.raises(FetchError, match="sends more than 100 bytes"):
        fetch(f"{url}/net.pth", target, size=message)
    assert visible(target) == []


@pytest.mark.parametrize("length", [True, False])
def test_a_disk_without_room_is_seen_before_it_is_full(
    release: Release, target: Path, monkeypatch: pytest.MonkeyPatch, length: bool
) -> None:
    release.length = length
    room = SimpleNamespace(free=100_000_000 + 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: room)
    with pytest.raises(FetchError, match=r"the disk of .* has 100,000,005 free"):
        get(release, target)
    assert not target.exists()


@pytest.mark.parametrize(("same", "kept"), [(True, True), (False, False)])
def test_a_secret_stays_with_its_host(target: Path, same: bool, kept: bool) -> None:
    notes: list[str | None] = []

    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        notes.append(to.headers.get("Authorization"))
        to.send_response(200)
        to.send_header("Content-Length", "3")
        to.end_headers()
        to.wfile.write(b"abc")

    with answering(answer) as elsewhere:
        places = {"": ""}

        def lead(to: http.server.BaseHTTPRequestHandler) -> None:
            if to.path == "/there":
                answer(to)
                return
            notes.append(to.headers.get("Authorization"))
            to.send_response(302)
            to.send_header("Location", f"{places['']}/there")
            to.end_headers()

        with answering(lead) as here:
            places[""] = here if same else elsewhere
            fetch(f"{here}/net.pth", target, headers={"Authorization": "Bearer secret"})
    assert notes == ["Bearer secret", "Bearer secret" if kept else None]


def test_a_name_and_a_password_in_an_address_are_sent_and_never_shown(target: Path) -> None:
    notes: list[str | None] = []

    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        notes.append(to.headers.get("Authorization"))
        to.send_error(404)

    with answering(answer) as url, pytest.raises(FetchError) as caught:
        fetch(url.replace("//", "//me:p%40ss@") + "/net.pth?token=hush", target)
    assert notes == ["Basic " + base64.b64encode(b"me:p@ss").decode()]
    assert all(secret not in str(caught.value) for secret in ("p%40ss", "p@ss", "hush", "me:"))


@pytest.mark.parametrize(
    "url",
    [
        *("https://[::1", "https://[zz]/x", "https://a:99999999/x", "https://", "https:x"),
        *("https://a b/x", "https://a\r\nb/x", "https://\x1b[2J/x", "https://a:0/"),
    ],
)
def test_what_is_no_address_is_one_line(target: Path, url: str) -> None:
    for ask in (lambda: fetch(url, target, timeout=1), lambda: fetch_file_name(url, timeout=1)):
        with pytest.raises(FetchError) as caught:
            ask()
        assert str(caught.value).isprintable()


def test_an_address_of_version_6_is_asked(target: Path) -> None:
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch("http://[::1]:9/x", target, timeout=1)


PLAIN = ("model.safetensors", "модель.ckpt", "a b.pt", ".gitattributes", "console.pt", "x" * 200)
NOT_PLAIN = (
    *("", ".", "..", "/x", "a/b", "a\\b", "C:x", "a:b", "a\0b", "a\nb", "a\x1b[2J", "x" * 201),
    *("CON", "con.safetensors", "nul", "COM1.pt", "lpt¹", "a.", "a ", "a?b", "a*", "a|b", '"a"'),
    *("a<b", "a\u202eb", "a\u2028b"),
)


@pytest.mark.parametrize("name", [*PLAIN, *NOT_PLAIN])
def test_names_that_servers_give(name: str) -> None:
    assert is_plain_name(name) == (name in PLAIN)


@pytest.mark.parametrize("name", ["con.safetensors", "a:b.ckpt", "..", "x%00.pt"])
def test_a_server_gives_no_name_that_is_none(release: Release, name: str) -> None:
    release.disposition = f"attachment; filename*=UTF-8''{name}"
    assert fetch_file_name(release.url) == ""


@pytest.mark.parametrize("name", ["/x", "unet/a:b.json", "unet/..\\..\\x.json", "unet/nul.json"])
def test_a_hub_s_names_lead_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    weights = "unet/diffusion_pytorch_model.safetensors"
    files = {"model_index.json": b"{}", name: b"{}", "unet/config.json": b"{}", weights: b""}
    with hub_at_home(Hub("a/b", files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("no_proxy", "*")
        if name == "/x":
            download(HubId("a/b"), tmp_path / "b", ignore_progress, print)
        else:
            with pytest.raises(ModelError, match=r"is refused: .* is not a valid file name"):
                download(HubId("a/b"), tmp_path / "b", ignore_progress, print)
    names = ("model_index.json", "config.json", Path(weights).name)
    allowed = {*names, *(f".{name}.lock" for name in names)}
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= allowed
