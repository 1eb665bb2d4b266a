"""The tools for language models, with the client of the library."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from PIL import Image

from dream.cli.app import main
from dream.core.errors import SOME_FAILED, WRONG_LINE
from dream.web.mcp_server import tools as tools_module
from tests.web.serving import Served, serve_fake
from tests.web.test_own_api import Held

ROOT = Path(__file__).resolve().parents[2]
TOOLS = {
    *("generate_image", "vary", "upscale", "replay", "wait", "cancel", "find", "info", "models"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("mcp")) as served:
        yield served


def with_client(target: Any, use: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine with a connected client."""

    async def run() -> None:
        async with Client(target, read_timeout_seconds=60) as client:
            await use(client)

    anyio.run(run)


def text_of(result: Any) -> str:
    return str(result.content[0].text)


def fields_of(result: Any) -> dict[str, str]:
    """The rows of an answer, by their names."""
    assert not result.is_error, text_of(result)
    return dict(row.partition(": ")[::2] for row in text_of(result).splitlines())


async def finish(client: Client, result: Any) -> dict[str, str]:
    """The answer of a tool, as a model gets it: a slow machine makes it wait."""
    while "is not finished" in text_of(result):
        job = int(text_of(result).partition("job=")[2])
        result = await client.call_tool("wait", {"job": job})
    return fields_of(result)


def test_over_http(served: Served) -> None:
    """All tools, over the web server's port."""

    async def use(client: Client) -> None:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == TOOLS
        assert all(tool.description for tool in listed)
        told: list[tuple[float, float | None, str | None]] = []

        async def note(done: float, total: float | None, message: str | None) -> None:
            told.append((done, total, message))

        words = "a (big) [red] cat++ {a|b} __init__"
        result = await client.call_tool(
            "generate_image",
            {"prompt": words, "seed": 5, "extra": "--seamless", "size": "64x128"},
            progress_callback=note,
        )
        made = fields_of(result)
        assert made["seed"] == "5" and len(made["sha256 of the pixels"]) == 64
        assert Path(made["path"]).is_file() and made["path"].endswith(made["picture"])
        assert served.session.saved[-1].line == made["line"]
        assert told and told[-1][1] == 3
        picture = Image.open(io.BytesIO(base64.b64decode(result.content[1].data)))  # type: ignore[union-attr]
        assert picture.format == "JPEG" and picture.size == (64, 128)
        recipe = served.engine.rendered[-1]
        assert recipe.seamless and recipe.prompt == "a \\(big\\) \\[red\\] cat\\+\\+ {a|b} __init__"
        name = made["picture"]
        result = await client.call_tool(
            "generate_image", {"prompt": "a dog", "from_picture": name, "preview": "none"}
        )
        assert len(result.content) == 1 and served.engine.rendered[-1].init_img
        await client.call_tool("vary", {"picture": name, "count": 2})
        assert served.engine.rendered[-1].with_variations
        large = fields_of(await client.call_tool("upscale", {"picture": name, "factor": 2}))
        with Image.open(large["path"]) as image:
            assert image.size == (128, 256)
        log = (served.session.outdir / "dream_log.txt").read_text().splitlines()
        line = next(line for line in log if name in line)
        again = fields_of(await client.call_tool("replay", {"line": line}))
        assert again["the same pixels as logged"] == "yes"
        assert name in text_of(await client.call_tool("find", {"words": "big cat"}))
        assert "no image" in text_of(await client.call_tool("find", {"words": "xyzzy"}))
        info = fields_of(await client.call_tool("info", {"picture": name}))
        assert info["device"] == "fake" and info["line"] == made["line"]
        assert text_of(await client.call_tool("models", {})).startswith("tiny (used by default):")
        switches = await client.read_resource("dream://help/switches")
        assert "--seamless" in switches.contents[0].text  # type: ignore[union-attr]
        assert name in (await client.read_resource("dream://log")).contents[0].text  # type: ignore[union-attr]
        await client.read_resource(f"dream://picture/{name}")

    with_client(f"{served.url}/mcp", use)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("generate_image", {"prompt": "a", "count": 5}, "count has to be from 1 to 4"),
        ("generate_image", {"prompt": "a", "steps": 0}, "steps takes"),
        ("generate_image", {"prompt": "a", "size": "big"}, "WIDTHxHEIGHT"),
        ("generate_image", {"prompt": "a", "extra": "-o /etc"}, "outside the folder"),
        ("generate_image", {"prompt": "a", "extra": "a dog"}, "switches begin with"),
        ("generate_image", {"prompt": "a", "model": "/etc/passwd"}, "not listed"),
        ("generate_image", {"prompt": "a", "from_picture": "/etc/passwd"}, "not an image of"),
        ("generate_image", {"prompt": "a", "from_picture": "../a.png"}, "not an image of"),
        ("info", {"picture": "/etc/passwd"}, "not an image of this gallery"),
        ("replay", {"line": "!models"}, "command"),
        ("replay", {"line": "a -I /etc/passwd"}, "not an image of this gallery"),
        ("wait", {"job": 99}, "there is no job 99"),
        ("cancel", {"job": 99}, "there is no job 99"),
    ],
)
def test_what_is_wrong_is_told_to_the_model(
    served: Served, tool: str, arguments: dict[str, Any], words: str
) -> None:
    async def use(client: Client) -> None:
        result = await client.call_tool(tool, arguments)
        assert result.is_error and words in text_of(result)

    with_client(f"{served.url}/mcp", use)


def test_a_long_job_is_waited_for_and_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools_module, "PATIENCE", 0.2)
    engine = Held()

    async def use(client: Client) -> None:
        result = await client.call_tool("generate_image", {"prompt": "a", "count": 2})
        assert text_of(result).startswith("job 1 is not finished (image 1 of 2, step 1/3)")
        assert "call wait with job=1" in text_of(result)
        result = await client.call_tool("wait", {"job": 1})
        assert "not finished" in text_of(result)
        assert "is cancelled" in text_of(await client.call_tool("cancel", {"job": 1}))
        monkeypatch.setattr(tools_module, "PATIENCE", 20)
        assert "was cancelled before" in text_of(await client.call_tool("wait", {"job": 1}))

    with serve_fake(tmp_path, engine) as served:
        with_client(f"{served.url}/mcp", use)


def test_a_call_that_the_client_cancels_ends_its_job(tmp_path: Path) -> None:
    engine = Held()

    async def use(client: Client) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "generate_image", {"prompt": "a", "count": 3})
            while not engine.reached.is_set():
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        jobs = served.server.services.jobs
        with anyio.fail_after(20):
            while not jobs.list_finished():
                await anyio.sleep(0.01)
        assert str(jobs.list_finished()[0].state) == "cancelled"

    with serve_fake(tmp_path, engine) as served:
        with_client(f"{served.url}/mcp", use)
    assert len(engine.rendered) == 1


def test_over_stdio_with_the_shipped_model(tmp_path: Path) -> None:
    """`dream --mcp` answers before torch is there, and makes an image twice, bit for bit."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "dream", "--mcp", "--offline", "-o", str(tmp_path / "out")],
        cwd=ROOT,
    )

    async def use(client: Client) -> None:
        assert "tiny" in text_of(await client.call_tool("models", {}))
        arguments = {"prompt": "a red circle", "steps": 2, "seed": 3, "extra": "-W64 -H64"}
        made = await finish(client, await client.call_tool("generate_image", arguments))
        log = (tmp_path / "out" / "dream_log.txt").read_text().strip()
        again = await finish(client, await client.call_tool("replay", {"line": log}))
        assert again["the same pixels as logged"] == "yes"
        assert again["sha256 of the pixels"] == made["sha256 of the pixels"]

    with_client(server, use)


def test_without_the_library_there_is_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("dream.web.mcp_server")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mcp"]:
        monkeypatch.setitem(sys.modules, name, None)
    with serve_fake(tmp_path) as served:
        answer = served.post("/mcp", jsonrpc="2.0", id=1, method="ping")
    assert answer.status_code == 404 and "dream-prompt[mcp]" in answer.json()["hint"]
    assert main(["--mcp"]) == SOME_FAILED
    assert "pip install 'dream-prompt[mcp]'" in capsys.readouterr().err
    assert main(["--mcp", "a cat"]) == WRONG_LINE
