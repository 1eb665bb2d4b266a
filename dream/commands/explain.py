"""!explain: show how a line's prompt is parsed."""

from __future__ import annotations

from collections.abc import Iterator

from dream.commands.command import Context, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events
from dream.core.request import Request
from dream.options.syntax_table import INVOKEAI, SYNTAXES, WEIGHTINGS, get_default_weighting
from dream.prompt import extract_networks, parse_prompt
from dream.prompt.describe import describe_prompt


def explain_line(context: Context, argument: str) -> Events[None]:
    """!explain LINE: the fragments of both sides of its prompt with their weights, and what else
    the prompt asks for. Generates nothing."""
    if not argument:
        raise BadLine("usage: !explain LINE")
    yield TextOutput(lines=tuple(_explain(context.session.parse_line(argument))))


def _explain(request: Request) -> Iterator[str]:
    syntax = request.syntax or INVOKEAI
    weighting = request.weighting or get_default_weighting(syntax)
    yield f"--syntax {syntax}: {SYNTAXES[syntax]}"
    parsed = parse_prompt(request.prompt, request.negative, syntax)
    yield "prompt:"
    yield from (f"  {line}" for line in describe_prompt(parsed.positive))
    if parsed.negative.words.strip():
        yield "negative prompt:"
        yield from (f"  {line}" for line in describe_prompt(parsed.negative))
    _, networks = extract_networks(request.prompt, syntax)
    yield from (f"{network.kind}: {network.name}" for network in networks)
    if not (parsed.positive.is_plain and parsed.negative.is_plain):
        yield f"--weighting {weighting}: {WEIGHTINGS[weighting]}"
