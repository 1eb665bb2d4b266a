"""What clients see of the tools: names, arguments, descriptions."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

import dream
from dream.core.errors import DreamError
from dream.gallery import LOG_NAME, read_last_lines
from dream.line.help_pages import format_help
from dream.web.mcp_server.tool_requests import MAX_COUNT, ImageArguments
from dream.web.mcp_server.tools import Answer, PreviewSize, Tools, explain_to_model
from dream.web.refusal import Refusal
from dream.web.services import WebServices

INSTRUCTIONS = """\
dream generates images on this machine, one after the other, and logs each as a line that makes it
again bit for bit.
- generate_image takes a prompt in plain words. Leave the rest open at first: the model's own size
  and steps are the best ones. models lists the models.
- Each answer has the path of the file, the line, and a small preview. A picture is named as in
  `picture:`; use that name for from_picture, vary, upscale and info.
- A call returns after at most 45 seconds. If its job is not finished, call wait with its number.
- To change an image: from_picture, and strength from 0.2 (little) to 0.9 (a lot); mask_words
  changes only what these words name, such as "hair". vary makes similar images.
- The same seed and words give the same image; change one thing at a time to compare.
- find searches all earlier images by words; replay makes one again from its line.
- extra takes further switches of dream, such as "-C 5 --seamless"; the resource
  dream://help/switches lists them."""

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_MAKES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)

Content = list[str | Image]
Picture = Annotated[str, Field(description="name of a picture, such as 000001.42.png")]
Preview = Annotated[
    PreviewSize, Field(description="none, small (at most 512 pixels), or full (at most 2048)")
]
Count = Annotated[int, Field(description=f"images to make, 1 to {MAX_COUNT}")]


def create_mcp_server(
    services: WebServices, owner: str, start: Callable[[], None] = lambda: None
) -> MCPServer[Any]:
    """A server with all tools. `owner` is the client whose jobs they are; `start` is called before
    the first job."""
    logging.getLogger().addHandler(logging.NullHandler())  # else MCPServer writes to the terminal
    server: MCPServer[Any] = MCPServer(
        "dream", instructions=INSTRUCTIONS, version=dream.__version__, log_level="CRITICAL"
    )
    tools = Tools(services, owner, start)
    _add_making(server, tools)
    _add_remaking(server, tools)
    _add_jobs(server, tools)
    _add_reading(server, tools)
    _add_resources(server, services)
    return server


def _add_making(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_MAKES, structured_output=False)
    async def generate_image(
        ctx: Context,
        prompt: Annotated[str, Field(description="what to generate, in plain words")],
        negative: Annotated[str, Field(description="what to avoid")] = "",
        size: Annotated[str, Field(description="WIDTHxHEIGHT; empty: the model's own")] = "",
        steps: Annotated[int | None, Field(description="more take longer")] = None,
        seed: Annotated[int | None, Field(description="the same seed, the same image")] = None,
        count: Count = 1,
        model: Annotated[str, Field(description="a name from the tool models")] = "",
        from_picture: Annotated[str, Field(description="picture to begin from")] = "",
        strength: Annotated[
            float | None, Field(description="how much to change from_picture, 0 to 1")
        ] = None,
        mask_words: Annotated[
            str, Field(description="change only what these words name in from_picture")
        ] = "",
        upscale: Annotated[float | None, Field(description="factor, 2 or 4")] = None,
        extra: Annotated[str, Field(description="further switches, such as -C 5")] = "",
        preview: Preview = "small",
    ) -> Content:
        """Generate images from words, or change an image. Answers path, line and preview."""
        arguments = ImageArguments(
            prompt=prompt,
            negative=negative,
            size=size,
            steps=steps,
            seed=seed,
            count=count,
            model=model,
            from_picture=from_picture,
            strength=strength,
            mask_words=mask_words,
            upscale=upscale,
            extra=extra,
        )
        return await _answer(tools.generate(arguments, preview, ctx.report_progress))


def _add_remaking(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_MAKES, structured_output=False)
    async def vary(
        ctx: Context,
        picture: Picture,
        amount: Annotated[float, Field(description="how different: 0.05 to 0.5")] = 0.2,
        count: Count = 1,
        preview: Preview = "small",
    ) -> Content:
        """Make images similar to one that dream made, with slightly different noise."""
        return await _answer(tools.vary(picture, amount, count, preview, ctx.report_progress))

    @server.tool(annotations=_MAKES, structured_output=False)
    async def upscale(
        ctx: Context,
        picture: Picture,
        factor: Annotated[float, Field(description="2 or 4; at most 8")] = 2,
        preview: Preview = "small",
    ) -> Content:
        """Make a picture larger with an upscaling network."""
        return await _answer(tools.upscale(picture, factor, preview, ctx.report_progress))

    @server.tool(annotations=_MAKES, structured_output=False)
    async def replay(
        ctx: Context,
        line: Annotated[str, Field(description="a line of the log, as `line:` or find has it")],
        preview: Preview = "small",
    ) -> Content:
        """Make a logged image again; with the whole logged line, its pixels are compared."""
        return await _answer(tools.replay(line, preview, ctx.report_progress))


def _add_jobs(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_READS, structured_output=False)
    async def wait(ctx: Context, job: int, preview: Preview = "small") -> Content:
        """Wait at most 45 seconds for a job that was not finished."""
        return await _answer(tools.wait(job, preview, ctx.report_progress))

    @server.tool(annotations=_MAKES, structured_output=False)
    async def cancel(job: int) -> str:
        """Cancel a job. Its finished images are kept."""
        try:
            return tools.cancel(job)
        except Refusal as error:
            raise ToolError(explain_to_model(error)) from None


def _add_reading(server: MCPServer[Any], tools: Tools) -> None:
    @server.tool(annotations=_READS, structured_output=False)
    async def find(
        words: Annotated[str, Field(description="all of them have to be in the line")] = "",
        most: Annotated[int, Field(description="images to list, the newest first")] = 20,
    ) -> str:
        """Search earlier images by the words of their lines."""
        return await _read(tools.read(tools.find, words, most))

    @server.tool(annotations=_READS, structured_output=False)
    async def info(picture: Picture) -> str:
        """How a picture was made: line, model, device, hash of its pixels."""
        return await _read(tools.read(tools.describe_picture, picture))

    @server.tool(annotations=_READS, structured_output=False)
    async def models() -> str:
        """The models that can be used, with their sizes and steps."""
        return await _read(tools.read(tools.list_models))


def _add_resources(server: MCPServer[Any], services: WebServices) -> None:
    @server.resource("dream://help/switches", mime_type="text/plain")
    def switches() -> str:
        """All switches that `extra` takes."""
        return format_help()

    @server.resource("dream://log", mime_type="text/plain")
    def log() -> str:
        """The last lines of the log."""
        return "\n".join(read_last_lines(services.pictures.folder / LOG_NAME))

    @server.resource("dream://picture/{name}", mime_type="image/png")
    def picture(name: str) -> bytes:
        """The file of a picture."""
        found = services.pictures.find(name)
        if found is None:
            raise ValueError("there is no such picture")
        return found.path.read_bytes()


async def _answer(made: Awaitable[Answer]) -> Content:
    """The text and the previews of a tool. Raises ToolError with a message for the model."""
    try:
        text, images = await made
    except (DreamError, Refusal) as error:
        raise ToolError(explain_to_model(error)) from None
    return [text, *(Image(data=data, format="jpeg") for data in images)]


async def _read(answered: Awaitable[str]) -> str:
    try:
        return await answered
    except (DreamError, Refusal) as error:
        raise ToolError(explain_to_model(error)) from None
