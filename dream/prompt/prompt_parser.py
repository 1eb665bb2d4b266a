"""Parses a prompt and its negative in one of the syntaxes."""

from __future__ import annotations

from functools import lru_cache

from dream.options.syntax_table import A1111, PLAIN
from dream.prompt.a1111_parser import parse_a1111
from dream.prompt.invokeai_parser import parse_invokeai
from dream.prompt.negative import split_negative
from dream.prompt.networks import extract_networks
from dream.prompt.tree import Fragment, ParsedPrompt, Prompt, PromptPart


@lru_cache(128)
def parse_prompt(prompt: str, negative: str, syntax: str) -> ParsedPrompt:
    """Both sides of a prompt. Networks named in it are cut out: see `extract_networks`.

    In `invokeai` and `plain`, `[words]` in the prompt are negative. Time is linear in the length of
    the texts. Raises PromptError for what cannot be meant.
    """
    if syntax == PLAIN:
        positive, avoided = split_negative(prompt, negative)
        return ParsedPrompt(_plain(positive), _plain(avoided))
    prompt, _ = extract_networks(prompt, syntax)
    negative, _ = extract_networks(negative, syntax)
    if syntax == A1111:
        return ParsedPrompt(parse_a1111(prompt), parse_a1111(negative, negative=True))
    positive, avoided = split_negative(prompt, negative, unescape=False)
    return ParsedPrompt(parse_invokeai(positive), parse_invokeai(avoided))


def _plain(text: str) -> Prompt:
    return Prompt((PromptPart((Fragment(text),)),))
