"""!explain: show how a line's prompt is parsed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from dream.catalogue.wildcard_files import WildcardFiles
from dream.commands.command import Context, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events, Note
from dream.core.request import Request
from dream.engine.interface import Progress
from dream.options.control import ImagePrompt, describe_control, describe_image_prompt
from dream.options.option_type import MAX_SEED
from dream.options.syntax_table import INVOKEAI, SYNTAXES, WEIGHTINGS, get_default_weighting
from dream.prompt import (
    Lookup,
    TemplateError,
    extract_networks,
    list_combinations,
    parse_prompt,
)
from dream.prompt.describe import describe_network, describe_prompt, suggest_syntax
from dream.session import Session
from dream.session.templates import expand_request, has_template, use_template

_COUNTED = 10_000
"""Combinations of a template that are counted."""
_EXAMPLES = 3


def explain_line(context: Context, argument: str) -> Events[None]:
    """!explain LINE: the fragments of both sides of its prompt with their weights, and what else
    the prompt asks for; and how many tokens that is. Generates nothing."""
    if not argument:
        raise BadLine("usage: !explain LINE")
    request = use_template(context.session.parse_line(argument))
    find = WildcardFiles.of(context.session.registry).find
    seed = 0 if request.seed is None or request.seed < 0 else request.seed
    examples: tuple[str, ...] = ()
    if has_template(request):
        examples = tuple(_explain_template(request, seed, find))
        request = expand_request(request, seed, find)
    yield TextOutput(lines=(*examples, *_explain(request)))
    if request.fix is None:
        yield from _count_tokens(context.session, replace(request, seed=seed, iterations=1))


def _count_tokens(session: Session, request: Request) -> Events[None]:
    """What --fast chooses; and the tokens of each part, if its model is in memory: it is not
    loaded for that."""
    resolved = session.resolve(request)
    (recipe,) = resolved.recipes
    if request.fast:
        yield from (Note(text=note) for note in resolved.notes)
    if recipe.model not in session.engine.list_loaded():
        name = recipe.model
        yield Note(text=f"tokens are counted when {name} is loaded: !switch {name}")
        return
    with closing(session.engine.count_tokens(recipe)) as events:
        for event in events:
            if not isinstance(event, Progress):
                yield event


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
    for text in (request.prompt, request.negative):
        yield from map(describe_network, extract_networks(text, syntax)[1])
    if hint := suggest_syntax(request.prompt, syntax):
        yield hint
    yield from map(describe_control, request.control or ())
    yield from (describe_image_prompt(ImagePrompt(*one)) for one in request.image_prompt or ())
    if not (parsed.positive.is_plain and parsed.negative.is_plain):
        yield f"--weighting {weighting}: {WEIGHTINGS[weighting]}"
