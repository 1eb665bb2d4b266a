"""Checks a template before anything is chosen: its wildcards and variables exist."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from dream.prompt.template_parser import parse_template
from dream.prompt.template_tree import Assignment, TemplateError, Variable, Wildcard

Lookup = Callable[[str], Sequence[str]]
"""The values of all wildcards that a pattern names, `colour` or `animals/*`. Raises TemplateError,
with similar names, if there are none."""


def check_template(text: str, lookup: Lookup, names: Sequence[str] = ()) -> None:
    """Raises TemplateError, with the column, for a wildcard that does not exist, and for a variable
    that nothing sets; `names` are those that other texts set."""
    nodes = list(parse_template(text).walk())
    wildcards = [node for node in nodes if isinstance(node, Wildcard)]
    for wildcard in wildcards:
        try:
            lookup(wildcard.pattern)
        except TemplateError as error:
            raise TemplateError(error.message, wildcard.place.column, error.hint) from None
    known = [*names, *list_variables(text)]
    for node in () if wildcards else nodes:  # a file's value can set variables too
        if isinstance(node, Variable) and node.default is None and node.name not in known:
            raise make_unset_error(node, known)


def list_variables(text: str) -> list[str]:
    """The names of the variables that a template sets. Raises TemplateError."""
    nodes = parse_template(text).walk()
    return [node.name for node in nodes if isinstance(node, Assignment)]


def make_unset_error(
    node: Variable, known: Sequence[str], *, is_root: bool = True
) -> TemplateError:
    """The error for a variable that nothing sets; its column counts only in the text that was
    typed."""
    near = difflib.get_close_matches(node.name, known, 1)
    hint = f"did you mean ${{{near[0]}}}?" if near else f"set it before: ${{{node.name}=words}}"
    return TemplateError(
        f"the variable {node.name} is not set", node.place.column if is_root else 0, hint
    )
