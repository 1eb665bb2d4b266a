"""What a client may not ask for: files, folders, commands, amounts; and strangers at the door."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from dream.core.cli_options import CliOptions
from dream.core.errors import BadLine, BadSetting
from dream.core.request import FLAGS, Request
from dream.options.control import Control, ImagePrompt
from dream.options.launch_values import WEB_ADDRESS, WebAddress
from dream.options.lora import Lora
from dream.options.option_type import Upscale
from dream.web.access import WebOptions, read_web_options
from tests.web.serving import ANY_PORT, Served, serve_fake
from tests.web.test_own_api import png

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("open")) as served:
        yield served


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = WebOptions(ANY_PORT, TOKEN, ("dream.example",), ("https://app.example",))
    with serve_fake(tmp_path_factory.mktemp("guarded"), options=options) as served:
        yield served


LINES = (
    "a cat -I /etc/passwd",
    "a cat -I ../secret.png",
    "a cat -I file:///etc/hostname",
    "a cat -I ~/x.png",
    "a cat -M /etc/hostname -I -1",
    "a cat --init_color /etc/hostname",
    "a cat -ref /etc/hostname",
    "a cat --control canny=/etc/hostname",
    "a cat --control depth=../secret.png:0.5",
    "a cat --control canny=-1 --control_model /etc/hostname",
    "a cat --image_prompt /etc/hostname:0.5",
    "a cat --image_prompt -1 --image_prompt_model /etc/hostname",
    "a {1|2|3|4|5|6|7|8|9|10|11} {1|2|3|4|5|6|7|8|9|10} cat --combine",
    "!fix /etc/hostname -U2",
    "!fix *.png -U2",
    "!fix / -U2",
    "a cat -o /tmp/elsewhere",
    "a cat -o ..",
    "a cat --model /etc/hostname",
    "a cat --model ../models/tiny",
    "a cat --vae /etc/hostname",
    "a cat -U2 --upscaler /etc/hostname",
    "a cat --lora /etc/hostname",
    "a cat -n101",
    "a cat -s1..50 -C 1,2,3",
    "a cat -W4096 -H4096 -U8",
    "a cat -s100 -n50 --save_intermediates 1",
    "a cat\n!del_model tiny --files",
    "!del_model tiny --files",
    "!import_model https://example.org/x.safetensors",
    "!replay /etc/passwd",
    "!verify /etc/passwd",
    "!open /etc/passwd",
    "!save_settings",
    "!fetch -1 /tmp/out.txt",
    "!info /etc/passwd",
    "!mask /etc/hostname -tm x",
    "!control canny /etc/hostname",
    "!stats /etc",
    "!clear",
    "!restart",
    "!set outdir /tmp",
    "!set model /etc/hostname",
    "!set init_img /etc/hostname",
    "!switch /etc/hostname",
    "!vae /etc/hostname",
    "",
    "# a comment",
    "x" * 40_000,
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:30] or "empty")
def test_such_a_line_is_refused(served: Served, line: str) -> None:
    answer = served.post("/api/lines", line=line)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]
    assert served.post("/api/check", line=line).json()["wrong"] or not line


def test_what_exists_and_what_does_not_are_refused_alike(served: Served, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(png())
    texts = [
        served.post("/api/lines", line=f"x -I {tmp_path / name}").json()["error"].replace(name, "")
        for name in ("there.png", "other.png")
    ]
    assert texts[0] == texts[1]


REQUESTS = (
    Request(prompt="x", init_img="/etc/passwd"),
    Request(prompt="x", init_img="-1"),
    Request(prompt="x", seed=-1),
    Request(prompt="x", fix="../x.png"),
    Request(prompt="x", reference=("/etc/hostname",)),
    Request(prompt="x", control=(Control("canny", "/etc/hostname"),)),
    Request(prompt="x", image_prompt=(ImagePrompt("/etc/hostname"),)),
    Request(prompt="{x|y}", combine=True),
    Request(prompt="x", outdir="/tmp"),
    Request(prompt="x", model="/etc/hostname"),
    Request(prompt="x", lora=(Lora("/etc/x"),)),
    Request(prompt="x", iterations=101),
    Request(prompt="x", width=4096, height=4096, upscale=Upscale(8)),
)


@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
def test_such_a_request_is_refused(served: Served, request_: Request) -> None:
    admission = served.server.services.admission
    with pytest.raises(BadLine):
        admission.check_size(admission.admit(request_))


NAMES = [name for name, flag in FLAGS.items() if flag.kind.completion not in ("", "seed")]


@pytest.mark.parametrize("name", NAMES)
def test_no_switch_that_takes_a_name_takes_a_path(served: Served, name: str) -> None:
    """Of all that there are: a new one has to be admitted too."""
    before = "canny=" if name == "control" else ""
    value = FLAGS[name].kind.read([f"{before}/etc/hostname"])
    with pytest.raises(BadLine, match=r"not listed|not an image|outside"):
        served.server.services.admission.admit(replace(Request(prompt="x"), **{name: value}))


def test_a_request_never_becomes_a_line(served: Served) -> None:
    words = "a cat -o /etc -n 9999 [no] !del_model"
    admitted = served.server.services.admission.admit(Request(prompt=words, seed=3))
    assert admitted.prompt == words and admitted.iterations == 1


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/../dream_log.txt",
        "/pictures/..%2fdream_log.txt",
        "/pictures/%2e%2e/%2e%2e/etc/passwd",
        "/pictures//etc/passwd",
        "/pictures/dream_log.txt",
        "/thumbnails/..%2f..%2fetc%2fpasswd",
        "/uploads/..%2fdream_log.txt",
        "/uploads/passwd",
        "/api/pictures/..%2fdream_log.txt",
        "/static/..%2f..%2fpyproject.toml",
    ],
)
def test_no_url_leads_out_of_the_listing(served: Served, path: str) -> None:
    with socket.create_connection(served.server.address) as connection:  # httpx would tidy it up
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read()
    assert b" 404 " in answer.split(b"\r\n")[0]


def test_a_linked_image_is_not_listed(served: Served, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    served.session.outdir.mkdir(exist_ok=True)
    (served.session.outdir / "link.png").symlink_to(tmp_path / "secret.png")
    assert served.http.get("/pictures/link.png").status_code == 404


# ── strangers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:7860", 200),
        ("127.0.0.1", 200),
        ("[::1]:7860", 200),
        ("localhost.evil.com", 400),
        ("evil.com", 400),
        ("192.168.1.5", 400),
        ("", 400),
    ],
)
def test_hosts(served: Served, host: str, status: int) -> None:
    assert served.http.get("/api/state", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_other_web_sites(served: Served, headers: dict[str, str], status: int) -> None:
    answer = served.http.post("/api/check", json={"line": "x"}, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_a_form_of_another_site_is_no_body(served: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = served.http.post(
            "/api/lines", content=b'{"line": "x"}', headers={"Content-Type": kind}
        )
        assert answer.status_code == 415


def test_cors_is_for_named_origins_only(guarded: Served) -> None:
    headers = {"Origin": "https://app.example", "Authorization": f"Bearer {TOKEN}"}
    answer = guarded.http.post("/api/check", json={"line": "x"}, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-credentials" not in answer.headers
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert guarded.http.options("/api/lines", headers=preflight).status_code == 204


def test_the_token_is_asked_for(guarded: Served) -> None:
    assert guarded.http.get("/health").status_code == 200
    refused = guarded.http.get("/api/state")
    assert refused.status_code == 401 and "Basic" in refused.headers["www-authenticate"]
    for value in (
        f"Bearer {TOKEN}",
        "Basic " + b64encode(f"anybody:{TOKEN}".encode()).decode(),
    ):
        headers = {"Authorization": value}
        assert guarded.http.get("/api/state", headers=headers).status_code == 200
    for value in (
        "Bearer x",
        f"Bearer {TOKEN}x",
        "Basic x",
        "Basic " + b64encode(b":").decode(),
        "",
    ):
        headers = {"Authorization": value}
        assert guarded.http.get("/api/state", headers=headers).status_code == 401


def test_a_link_opens_the_page_once(guarded: Served) -> None:
    link = guarded.server.url
    assert TOKEN not in link
    path = link.partition("/?")[2]
    with httpx2.Client(base_url=guarded.url) as browser:
        answer = browser.get(f"/?{path}")
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
        assert browser.get("/api/state").status_code == 200
        assert browser.get(f"/?{path}").status_code == 303  # it has the cookie already
    with httpx2.Client(base_url=guarded.url) as other:
        mail = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        new = guarded.server.url.partition("/?")[2]
        answer = other.get(f"/?{new}", headers=mail | {"Sec-Fetch-Dest": "document"})
        assert "url=/" in answer.text and "SameSite=strict" in answer.headers["set-cookie"]
    with httpx2.Client(base_url=guarded.url) as other:
        assert other.get(f"/?{path}").status_code == 401


def test_a_large_body_is_refused_while_it_arrives(served: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(70):
            yield b"x" * (1 << 20)

    headers = {"Content-Type": "application/json"}
    try:
        answer = served.http.post("/api/lines", content=endless(), headers=headers)
        assert answer.status_code == 413
    except httpx2.WriteError:
        pass  # the answer came before the body ended
    head = {"Content-Type": "application/json", "Content-Length": str(1 << 30)}
    with socket.create_connection(served.server.address) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        connection.sendall(f"POST /api/lines HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        assert b" 413 " in connection.recv(100)
    assert served.http.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"null", b'{"line": 5}', b"[" * 100_000, b'{"line": "\\ud800"}', b"\xff"],
)
def test_odd_bodies_are_refused(served: Served, body: bytes) -> None:
    answer = served.http.post(
        "/api/lines", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (200, 400)


def test_headers_of_every_answer(served: Served) -> None:
    for path in ("/health", "/nothing"):
        headers = served.http.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


# ── options ────────────────────────────────────────────────────────────────────────────────────


def test_another_host_needs_a_token() -> None:
    address = WebAddress("0.0.0.0", 7860)
    with pytest.raises(BadSetting, match="needs a token"):
        read_web_options(CliOptions(web=address), {})
    assert read_web_options(CliOptions(web=address), {"DREAM_TOKEN": TOKEN}).token == TOKEN
    with pytest.raises(BadSetting, match="12 printable"):
        read_web_options(CliOptions(web=address, token="short"), {})
    options = CliOptions(web=WebAddress(), allow_origin="https://a.example/,http://b")
    assert read_web_options(options, {}).origins == ("https://a.example", "http://b")
    for origin in ("*", "https://*", "a.example", "https://a/b"):
        with pytest.raises(BadSetting):
            read_web_options(replace(options, allow_origin=origin), {})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("7861", WebAddress("127.0.0.1", 7861)),
        ("0.0.0.0:80", WebAddress("0.0.0.0", 80)),
        ("localhost:7860", WebAddress("localhost", 7860)),
        ("[::1]:7860", WebAddress("::1", 7860)),
    ],
)
def test_addresses(text: str, address: WebAddress) -> None:
    assert WEB_ADDRESS.read([text]) == address
    assert WEB_ADDRESS.read(WEB_ADDRESS.write(address)) == address


@pytest.mark.parametrize(
    "text", ["", "x", "65536", "::1:80", ":80", "[x]:80", "a b:80", "-1", "1.2"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        WEB_ADDRESS.read([text])
