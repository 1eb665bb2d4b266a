"""!explain: show how a line's prompt is parsed."""

from __future__ import annotations

from collections.abc import Iterator

from dream.catalogue.wildcard_files import WildcardFiles
from dream.commands.command import Context, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events
from dream.core.request import Request
from dream.options.option_type import MAX_SEED
from dream.options.syntax_table import INVOKEAI, SYNTAXES, WEIGHTINGS, get_default_weighting
from dream.prompt import (
    Lookup,
    TemplateError,
    extract_networks,
    list_combinations,
    parse_prompt,
)
from dream.prompt.describe import describe_prompt, suggest_syntax
from dream.session.templates import expand_request, has_template, use_template

_COUNTED = 10_000
"""Combinations of a template that are counted."""
_EXAMPLES = 3


def explain_line(context: Context, argument: str) -> Events[None]:
    """!explain LINE: the fragments of both sides of its prompt with their weights, and what else
    the prompt asks for. Generates nothing."""
    if not argument:
        raise BadLine("usage: !explain LINE")
    request = use_template(context.session.parse_line(argument))
    if not has_template(request):
        yield TextOutput(lines=tuple(_explain(request)))
        return
    find = WildcardFiles.of(context.session.registry).find
    seed = 0 if request.seed is None or request.seed < 0 else request.seed
    chosen = expand_request(request, seed, find)
    lines = (*_explain_template(request, seed, find), *_explain(chosen))
    yield TextOutput(lines=lines)


def _explain_template(request: Request, seed: int, find: Lookup) -> Iterator[str]:
    """How many prompts a template can become, and what some seeds choose."""
    try:
        texts = (request.prompt, request.negative)
        count = f"{len(list_combinations(texts, find, _COUNTED)):,}"
    except TemplateError:
        count = f"more than {_COUNTED:,}"
    yield f"template with {count} combinations; for example:"
    for example in range(seed, min(seed + _EXAMPLES, MAX_SEED + 1)):
        words = expand_request(request, example, find)
        negative = f" [{words.negative}]" if words.negative else ""
        yield f"  -S{example}: {words.prompt}{negative}"
    yield f"with -S{seed}:"


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
    if hint := suggest_syntax(request.prompt, syntax):
        yield hint
    if not (parsed.positive.is_plain and parsed.negative.is_plain):
        yield f"--weighting {weighting}: {WEIGHTINGS[weighting]}"
