"""Settles what language a prompt is in, and checks it before a model is loaded."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from dream.core.errors import BadLine, excerpt
from dream.core.request import Request
from dream.line import parse_facts, parse_log_line
from dream.options.lora import Hypernet, Lora
from dream.options.syntax_table import INVOKEAI, PLAIN
from dream.prompt import (
    Lookup,
    Network,
    PromptError,
    convert_legacy_blend,
    extract_networks,
    parse_prompt,
    split_negative,
)
from dream.session.templates import (
    check_templates,
    check_wildcards,
    has_template,
    keep_words,
    use_template,
)

_PATH = re.compile(r"[/\\]|^[~.]")
"""A prompt can come from anybody's image, so it names no file outside the folders of networks."""


def get_logged_syntax(comment: str) -> str:
    """The syntax of a logged line that names none. Ours are from before there was one: plain.
    Others are InvokeAI's, and have its syntax."""
    return PLAIN if "sha256" in parse_facts(comment) else INVOKEAI


def settle_prompt(line: str, request: Request, wildcards: Lookup) -> Request:
    """The request of a line, its prompt in a syntax that we have. Raises BadLine for a prompt that
    means nothing in it, or names a wildcard that does not exist."""
    request = _convert_legacy_prompt(line, request)
    check_prompt(request, line)
    check_wildcards(use_template(request), line, wildcards)
    return request


def _convert_legacy_prompt(line: str, request: Request) -> Request:
    """The request of a line that InvokeAI logged, with its weighted subprompts, `cat:0.3 dog:0.7`,
    as a `.blend()`. Others are unchanged."""
    logged = parse_log_line(line)
    if (
        logged.path is None
        or ":" not in request.prompt
        or "--syntax" in logged.line
        or get_logged_syntax(logged.comment) == PLAIN
    ):
        return request
    positive, negative = split_negative(request.prompt, "", unescape=False)
    blend = convert_legacy_blend(positive)
    if blend == positive:
        return request
    both = ", ".join(filter(None, (request.negative, negative)))
    return replace(request, prompt=blend, negative=both)


def check_prompt(request: Request, line: str = "") -> None:
    """Raises BadLine for a prompt that means nothing in its syntax, with the column in the line
    that it came from. Of a template, only the places are checked: the rest is what will be
    chosen."""
    syntax = request.syntax or INVOKEAI
    if has_template(request):
        check_templates(request, line)
        return
    for text in (request.prompt, request.negative):
        at = line.find(text) if text else -1
        try:
            _, networks = extract_networks(text, syntax)
            parse_prompt(text, "", syntax)
        except PromptError as error:
            column = at + error.column if error.column and at >= 0 else 0
            raise BadLine(error.message, column, error.hint) from None
        for network in networks:
            if _PATH.search(network.name):
                raise BadLine(
                    f"{excerpt(network.name)} is a path; in a prompt, networks are called by name",
                    max(0, at + 1),
                    f"use --{network.kind} for a file elsewhere",
                )


def list_prompt_fields(request: Request) -> dict[str, Any]:
    """What a recipe has of the prompt."""
    names = ("prompt", "negative", "template", "negative_template", "weighting", "clip_skip")
    fields = {name: getattr(request, name) for name in names}
    syntax = request.syntax or INVOKEAI
    return {**fields, "syntax": syntax, "wildcards": keep_words(request)}


def move_networks(request: Request) -> Request:
    """The request with the networks that its prompt names in the fields for them, after those that
    are there. Raises BadLine for a prompt that means nothing in its syntax."""
    check_prompt(request)
    syntax = request.syntax or INVOKEAI
    prompt, networks = extract_networks(request.prompt, syntax)
    negative, more = extract_networks(request.negative, syntax)
    networks = (*networks, *more)
    if not networks:
        return request
    loras = (_make_lora(network) for network in networks if network.kind == "lora")
    hypernets = (_make_hypernet(network) for network in networks if network.kind == "hypernet")
    return replace(
        request,
        prompt=prompt,
        negative=negative,
        lora=(*(request.lora or ()), *loras) or None,
        hypernet=(*(request.hypernet or ()), *hypernets) or None,
    )


def _make_lora(network: Network) -> Lora:
    """A1111's `<lora:name:te:unet>` names the text encoder's weight first."""
    text, denoiser = {0: (1.0, 1.0), 1: network.weights * 2}.get(
        len(network.weights), network.weights[:2]
    )
    text, denoiser = network.named.get("te", text), network.named.get("unet", denoiser)
    return Lora(network.name, denoiser, None if text == denoiser else text)


def _make_hypernet(network: Network) -> Hypernet:
    return Hypernet(network.name, network.weights[0] if network.weights else 1.0)
