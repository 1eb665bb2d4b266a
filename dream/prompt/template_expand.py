"""Expands templates of prompts: the words that belong to a seed, or every combination.

A choice depends on the seed, on the text of its slot, and on how many slots with the same text are
before it. So an edited slot leaves the others as they are. Of the options, those with the lowest
score are chosen, each scored on its own (weighted reservoir sampling: Efraimidis and Spirakis 2006,
Information Processing Letters 97): a value that is added to a file changes a choice only if it is
chosen itself, and the order of the values does not matter.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from types import MappingProxyType
from typing import NamedTuple

from dream.prompt.template_check import Lookup, make_unset_error
from dream.prompt.template_parser import parse_option, parse_template
from dream.prompt.template_tree import (
    Assignment,
    Occurrence,
    Option,
    Slot,
    TemplateError,
    TemplateNode,
    Variable,
    Wildcard,
)

MAX_LENGTH = 50_000
"""Characters of an expanded prompt."""
_MAX_DEPTH = 60
"""Slots, values of files and variables inside one another."""
_MAX_STEPS = 500_000
_SPACES = re.compile(r" {2,}")
_BETWEEN = "\0"
"""Between the texts that are expanded together."""


class _Context(NamedTuple):
    """Where a node is."""

    key: str = ""
    """For its choices; empty in the first text itself."""
    depth: int = 0
    """How many slots, files and variables are around it."""


_ROOT = _Context()


class _Bound(NamedTuple):
    """The value of a variable."""

    nodes: tuple[TemplateNode, ...]
    context: _Context


_Item = tuple[TemplateNode, _Context]
_Scope = Mapping[str, _Bound]
_Result = Iterator[tuple[str, _Scope]]
_EMPTY: _Scope = MappingProxyType({})


def expand_templates(texts: Sequence[str], seed: int, lookup: Lookup) -> tuple[str, ...]:
    """The texts with what this seed chooses, 0 to 2**32 - 1; variables of one count in the next.
    Raises TemplateError."""
    return next(_Expansion(lookup, seed).run(texts))


def list_combinations(
    texts: Sequence[str], lookup: Lookup, most: int
) -> tuple[tuple[str, ...], ...]:
    """Every combination, each once; the last slot changes fastest. Raises TemplateError, also if
    there are more than `most`."""
    found: dict[tuple[str, ...], None] = {}
    for one in _Expansion(lookup, None).run(texts):
        found[one] = None
        if len(found) > most:
            raise TemplateError(f"--combine makes more than {most:,} images", 0, "use fewer slots")
    return tuple(found)


def _tidy(text: str) -> str:
    """No double spaces around what was chosen, in case it was nothing."""
    return _SPACES.sub(" ", text).strip(" ")


def _derive(*parts: str) -> str:
    """A key that depends on these texts."""
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _draw(*parts: str) -> float:
    """A number above 0 and below 1 that depends on these texts, evenly spread."""
    return (int(_derive(*parts)[:13], 16) + 0.5) / 16**13


class _Expansion:
    """Expands texts for one seed, or for None to every combination."""

    def __init__(self, lookup: Lookup, seed: int | None) -> None:
        self._lookup, self._seed = lookup, seed
        self._steps = 0

    def run(self, texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
        items: list[_Item] = []
        for number, text in enumerate(texts):
            context = _Context(_derive(str(number))) if number else _ROOT
            items += [(_BETWEEN, context)] if number else []
            nodes = parse_template(text.replace(_BETWEEN, " ")).nodes
            items += [(node, context) for node in nodes]
        for text, _ in self._sequence(items, _EMPTY):
            both = zip(texts, text.split(_BETWEEN), strict=True)
            yield tuple(typed if one == typed else _tidy(one) for typed, one in both)

    def _sequence(self, items: Sequence[_Item], scope: _Scope) -> _Result:
        """What nodes say, one behind the other; the last one changes fastest."""
        said: list[str] = []
        length = 0
        if self._seed is not None or not items:
            for item in items:
                text, scope = next(self._node(item, scope))
                said.append(text)
                length += len(text)
                self._count(length)
            yield "".join(said), scope
            return
        running = [self._node(items[0], scope)]
        while running:
            found = next(running[-1], None)
            if found is None:
                running.pop()
                length -= len(said.pop()) if said else 0
                continue
            text, scope = found
            self._count(length + len(text))
            if len(running) == len(items):
                yield "".join(said) + text, scope
            else:
                said.append(text)
                length += len(text)
                running.append(self._node(items[len(running)], scope))

    def _count(self, length: int) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS or length > MAX_LENGTH:
            raise TemplateError("the template is too large", 0, "use fewer slots and variables")

    def _node(self, item: _Item, scope: _Scope) -> _Result:
        node, context = item
        match node:
            case str():
                yield node, scope
            case Slot():
                yield from self._slot(node, context, scope)
            case Wildcard():
                yield from self._wildcard(node, context, scope)
            case Variable():
                yield from self._variable(node, context, scope)
            case Assignment():
                yield from self._assignment(node, context, scope)

    def _slot(self, slot: Slot, context: _Context, scope: _Scope) -> _Result:
        options: Sequence[Option] = slot.options
        inner = self._deepen(slot.place, context)
        if (node := _get_lone_wildcard(slot)) is not None:
            options, inner = self._values(node), self._enter(node.place, context)
        yield from self._choose(slot, options, _key(slot.place, context), inner, scope)

    def _choose(
        self, slot: Slot, options: Sequence[Option], key: str, inner: _Context, scope: _Scope
    ) -> _Result:
        for chosen in self._pick(options, slot.least, slot.most, key):
            items: list[_Item] = []
            for number in chosen:
                items += [(slot.joiner, inner)] if items and slot.joiner else []
                items += [(node, inner) for node in options[number].nodes]
            yield from self._sequence(items, scope)

    def _pick(
        self, options: Sequence[Option], least: int, most: int, key: str
    ) -> Iterator[Sequence[int]]:
        """The indexes of the chosen options: of all ways, or the one of the seed."""
        usable = [number for number, option in enumerate(options) if option.weight > 0]
        least, most = min(least, len(usable)), min(most, len(usable))
        if self._seed is None:
            for count in range(least, most + 1):
                yield from permutations(usable, count)
            return
        seed = str(self._seed)
        count = least + int(_draw(seed, key) * (most - least + 1))
        twins: Counter[str] = Counter()
        scores: dict[int, float] = {}
        for number in usable:
            text = options[number].text
            draw = _draw(seed, key, text, str(twins[text]))
            scores[number] = -math.log(draw) / options[number].weight
            twins[text] += 1
        yield sorted(usable, key=scores.__getitem__)[:count]

    def _values(self, node: Wildcard) -> list[Option]:
        try:
            return [parse_option(value) for value in self._lookup(node.pattern)]
        except TemplateError as error:
            message = f"{node.place.text}: {error.message}" if error.column else error.message
            raise TemplateError(message, 0, error.hint) from None

    def _wildcard(self, node: Wildcard, context: _Context, scope: _Scope) -> _Result:
        inner = self._enter(node.place, context)
        arguments = {
            name: _Bound(nodes, _Context(_derive(inner.key, name), context.depth))
            for name, nodes in node.arguments.items()
        }
        within = MappingProxyType({**scope, **arguments}) if arguments else scope
        key = _key(node.place, context)
        results = self._choose(Slot(node.place, ()), self._values(node), key, inner, within)
        for text, after in results:
            yield text, scope if arguments else after

    def _variable(self, node: Variable, context: _Context, scope: _Scope) -> _Result:
        bound = scope.get(node.name)
        if bound is None and node.default is None:
            raise make_unset_error(node, tuple(scope), is_root=not context.key)
        inner = self._enter(node.place, context)
        if bound is None:
            items: list[_Item] = [(part, inner) for part in node.default or ()]
        else:
            its = _Context(_derive(inner.key, bound.context.key), inner.depth)
            items = [(part, its) for part in bound.nodes]
        for text, _ in self._sequence(items, scope):
            yield text, scope

    def _assignment(self, node: Assignment, context: _Context, scope: _Scope) -> _Result:
        if node.if_unset and node.name in scope:
            yield "", scope
            return
        inner = self._enter(node.place, context)
        if not node.at_once:
            yield "", MappingProxyType({**scope, node.name: _Bound(node.value, inner)})
            return
        for text, _ in self._sequence([(part, inner) for part in node.value], scope):
            value = _Bound((text,) if text else (), inner)
            yield "", MappingProxyType({**scope, node.name: value})

    def _enter(self, place: Occurrence, context: _Context) -> _Context:
        """Inside a value, whose own places are counted anew."""
        return self._deepen(place, context)._replace(key=_key(place, context))

    def _deepen(self, place: Occurrence, context: _Context) -> _Context:
        if context.depth >= _MAX_DEPTH:
            raise TemplateError(f"{place.text[:40]} is nested too deeply; does it name itself?")
        return context._replace(depth=context.depth + 1)


def _get_lone_wildcard(slot: Slot) -> Wildcard | None:
    """The wildcard of `{2$$__colour__}`: its values are the options."""
    nodes = slot.options[0].nodes if len(slot.options) == 1 and slot.most > 1 else ()
    if len(nodes) == 1 and isinstance(node := nodes[0], Wildcard) and not node.arguments:
        return node
    return None


def _key(place: Occurrence, context: _Context) -> str:
    return _derive(context.key, place.text, str(place.ordinal))
