"""Chooses the words of a prompt that has `{red|green}` or `__name__` in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.line import Sweep, Words, check_count
from dream.line.value_lists import MAX_VALUES
from dream.options.syntax_table import OFF, PLAIN
from dream.prompt import (
    Lookup,
    TemplateError,
    check_template,
    expand_templates,
    has_places,
    list_combinations,
    list_variables,
)
from dream.prompt.template_parser import parse_template


def find_nothing(pattern: str) -> Sequence[str]:
    """A Lookup without any files."""
    raise TemplateError(f"there is no wildcard {pattern}", 0, "!wildcards lists those that exist")


def has_template(request: Request) -> bool:
    """Whether words of the prompt or the negative prompt are chosen."""
    if request.wildcards == OFF or request.syntax == PLAIN:
        return False
    return has_places(request.prompt) or has_places(request.negative)


def use_template(request: Request) -> Request:
    """The request; with its template as its prompt, if it has no other."""
    if request.template and not request.prompt and request.wildcards != OFF:
        return replace(request, prompt=request.template, template=None)
    return request


def keep_words(request: Request) -> str | None:
    """The value of `wildcards` in a recipe: OFF if something in its prompt would be replaced when
    it is read again."""
    again = replace(request, wildcards=None)
    return OFF if has_template(again) or use_template(again) is not again else None


def protect_words(request: Request) -> Request:
    """The request of an image's line, whose words are those that were rendered: nothing in it is
    chosen again."""
    return replace(request, wildcards=keep_words(request))


def check_templates(request: Request, line: str = "") -> None:
    """Raises BadLine for a template that cannot be read, with the column in the line."""
    _check(request, line, None)


def check_wildcards(request: Request, line: str, lookup: Lookup) -> None:
    """Raises BadLine for a wildcard or a variable that does not exist, with the column in the line
    that the request came from."""
    _check(request, line, lookup)


def _check(request: Request, line: str, lookup: Lookup | None) -> None:
    if not has_template(request):
        return
    names: list[str] = []
    for text in (request.prompt, request.negative):
        try:
            if lookup is None:
                parse_template(text)
                continue
            check_template(text, lookup, names)
            names += list_variables(text)
        except TemplateError as error:
            at = line.find(text) if text else -1
            column = at + error.column if error.column and at >= 0 else 0
            raise BadLine(error.message, column, error.hint) from None


def expand_request(request: Request, seed: int, lookup: Lookup) -> Request:
    """The request with the words that belong to a seed, and what was typed as its template. Raises
    BadLine."""
    try:
        words = Words(*expand_templates((request.prompt, request.negative), seed, lookup))
    except TemplateError as error:
        raise BadLine(error.message, 0, error.hint) from None
    (one,) = Sweep(request, words=(words,))
    return one


def combine_words(sweep: Sweep, lookup: Lookup) -> Sweep:
    """The sweep of a line with --combine, with every combination of its words; others are
    unchanged. Raises BadLine, also for too many."""
    first = use_template(sweep.first)
    if not first.combine or sweep.words:
        return sweep
    if not has_template(first):
        note = "--combine is ignored: there is nothing to choose in the prompt"
        return replace(sweep, first=replace(first, combine=False), notes=(*sweep.notes, note))
    try:
        found = list_combinations((first.prompt, first.negative), lookup, MAX_VALUES)
    except TemplateError as error:
        raise BadLine(error.message, 0, error.hint) from None
    words = tuple(Words(*texts) for texts in found)
    return check_count(replace(sweep, first=first, words=words))
