r"""Parses templates of prompts, in the language of sd-dynamic-prompts and ComfyUI's wildcards:

    {red|green|3::blue}  {2$$ and $$a|b|c}  {1-2$$a|b}  __colour__  __animals/*__  ${x={a|b}} ${x}

A backslash before any sign makes it a letter; it stays, for the parser of the prompt's syntax.
What has no partner, `:{` or `a }`, is text. `|` inside `[a|b]` belongs to the brackets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from dream.prompt.template_tree import (
    Assignment,
    Occurrence,
    Option,
    Slot,
    Template,
    TemplateError,
    TemplateNode,
    Variable,
    Wildcard,
)

_SIGN = re.compile(r"\\.|[{}\[\]|]", re.DOTALL)
_NEXT = re.compile(r"\\.|[{$]|__", re.DOTALL)
_WILDCARD = re.compile(
    r"(?<![^\W_])__(?P<mark>[~@!])?"
    r"(?P<name>(?!_)[\w\-./*?+](?:[\w\-./*?+ ]{0,200}?[\w\-./*?+])??)"
    r"(?:\((?P<arguments>[^()]{0,1000})\))?__"
)
"""Not inside a word, but a word may follow: `__animal__s`."""
_MARK = re.compile(r"[~@!]")
_ARGUMENT = re.compile(r"\s*([^\W\d]\w{0,99})\s*=")
_COUNT = re.compile(
    r"\s*(?:(?P<exact>\d{1,4})|(?P<low>\d{0,4})-(?P<high>\d{0,4}))\s*\$\$"
    r"(?:(?P<joiner>[^{}$]*)\$\$)?"
)
_WEIGHT = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})::")
_VARIABLE = re.compile(r"\s*(?P<name>[^\W\d]\w{0,99})\s*(?P<sign>\?=!|\?=|=!|=|:|\Z)")
_DEEPEST = 50
"""Slots inside slots."""
_JOINER = ", "


@lru_cache(512)
def parse_template(text: str) -> Template:
    """The template of a text. Raises TemplateError for a slot that is not closed."""
    if "{" not in text and "__" not in text:
        return Template((text,) if text else ())
    return Template(tuple(_Parser(text).parse(0, len(text), 0)))


@lru_cache(4096)
def parse_option(text: str) -> Option:
    """A value of a file, with its weight: `3::red`."""
    weight = _WEIGHT.match(text)
    bare = text[weight.end() :].strip() if weight else text
    return Option(bare, parse_template(bare).nodes, float(weight[1]) if weight else 1.0)


def has_places(text: str) -> bool:
    """Whether something is chosen in a text, or would be if its slots were closed."""
    try:
        return not parse_template(text).is_text
    except TemplateError:
        return True


@dataclass
class _Brace:
    """An open bracket, and the `|` at its own level."""

    start: int
    is_square: bool
    bars: list[int] = field(default_factory=list)


def _match_braces(text: str) -> tuple[dict[int, int], dict[int, list[int]]]:
    """The end of each slot by its start, and its bars. Raises TemplateError for a `{` before a
    `|` that has no partner."""
    ends: dict[int, int] = {}
    bars: dict[int, list[int]] = {}
    opened: list[_Brace] = []
    for match in _SIGN.finditer(text):
        sign, at = match[0], match.start()
        if sign in "{[":
            opened.append(_Brace(at, sign == "["))
        elif sign == "|" and opened:
            opened[-1].bars.append(at)
        elif sign == "]" and opened and opened[-1].is_square:
            opened.pop()
        elif sign == "}":
            _pass_on(opened)
            if opened:
                brace = opened.pop()
                ends[brace.start], bars[brace.start] = at, brace.bars
    _pass_on(opened)
    for brace in opened:
        if brace.bars and not brace.is_square:
            raise TemplateError(
                "“{” is not closed", brace.start + 1, "add a }, or write \\{ for a brace"
            )
    return ends, bars


def _pass_on(opened: list[_Brace]) -> None:
    """Square brackets without a partner are text; the bars in them belong to the slot around."""
    passed: list[int] = []
    while opened and opened[-1].is_square:
        passed = opened.pop().bars + passed
    if opened:
        opened[-1].bars += passed


class _Parser:
    """Reads spans of a text. Places are counted in its order, whatever is chosen."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends, self._bars = _match_braces(text)
        self._counts: Counter[str] = Counter()

    def parse(self, start: int, end: int, depth: int) -> Iterator[TemplateNode]:
        """The nodes of text[start:end]."""
        text, at, begin = self._text, start, start
        while sign := _NEXT.search(text, at, end):
            at = sign.start()
            parsed = None if text[at] == "\\" else self._parse_place(at, end, depth)
            if parsed is None:
                at = sign.end() if text[at] == "\\" else at + 1
                continue
            node, after = parsed
            if begin < at:
                yield text[begin:at]
            yield node
            at = begin = after
        if begin < end:
            yield text[begin:end]

    def _parse_place(self, at: int, end: int, depth: int) -> tuple[TemplateNode, int] | None:
        """The place that begins here, and the index after it."""
        sign = self._text[at]
        brace = at + 1 if sign == "$" else at
        if sign == "_":
            match = _WILDCARD.match(self._text, at, end)
            return (self._parse_wildcard(match, depth), match.end()) if match else None
        close = self._ends.get(brace)
        if close is None or close >= end:
            return None
        if depth >= _DEEPEST:
            raise TemplateError(f"there are more than {_DEEPEST} slots in one another", at + 1)
        if sign == "{":
            return self._parse_slot(at, close, depth), close + 1
        name = _VARIABLE.match(self._text, brace + 1, close)
        return (self._parse_variable(name, at, close, depth), close + 1) if name else None

    def _place(self, start: int, end: int) -> Occurrence:
        text = self._text[start:end]
        self._counts[text] += 1
        return Occurrence(text, self._counts[text] - 1, start + 1)

    def _parse_slot(self, start: int, close: int, depth: int) -> Slot:
        place, text = self._place(start, close + 1), self._text
        begin = start + 1
        if mark := _MARK.match(text, begin, close):
            _check_mark(mark[0], start + 2)
            begin = mark.end()
        count = _COUNT.match(text, begin, close)
        if not count and text[start - 1 : start] == "%" and text.find("$$", begin, close) > 0:
            hint = "write the words around the slot, or \\{ for a brace"
            raise TemplateError("%{…$$…} is not supported", start, hint)
        if count:
            begin = count.end()
        cuts = [begin - 1, *(bar for bar in self._bars[start] if bar >= begin), close]
        options = tuple(self._parse_option(a + 1, b, depth) for a, b in pairwise(cuts))
        if not count:
            return Slot(place, options)
        low, high = _read_bounds(count, len(options))
        joiner = _JOINER if count["joiner"] is None else count["joiner"]
        return Slot(place, options, low, high, joiner)

    def _parse_option(self, start: int, end: int, depth: int) -> Option:
        text = self._text
        weight = _WEIGHT.match(text, start, end)
        if weight:
            start = weight.end()
        start, end = _strip(text, start, end)
        nodes = tuple(self.parse(start, end, depth + 1))
        return Option(text[start:end], nodes, float(weight[1]) if weight else 1.0)

    def _parse_variable(
        self, name: re.Match[str], start: int, close: int, depth: int
    ) -> Variable | Assignment:
        place, sign = self._place(start, close + 1), name["sign"]
        value = tuple(self.parse(*_strip(self._text, name.end(), close), depth + 1))
        if "=" in sign:
            return Assignment(place, name["name"], value, "!" in sign, "?" in sign)
        return Variable(place, name["name"], value if sign else None)

    def _parse_wildcard(self, match: re.Match[str], depth: int) -> Wildcard:
        place = self._place(match.start(), match.end())
        if match["mark"]:
            _check_mark(match["mark"], match.start() + 3)
        arguments: dict[str, tuple[TemplateNode, ...]] = {}
        if match["arguments"] is not None:
            for start, end in self._split_arguments(*match.span("arguments")):
                name = _ARGUMENT.match(self._text, start, end)
                if name is None:
                    raise TemplateError(
                        f"“{self._text[start:end].strip()[:20]}” does not set a variable",
                        start + 1,
                        "write __name(variable=words)__",
                    )
                value = _strip(self._text, name.end(), end)
                arguments[name[1]] = tuple(self.parse(*value, depth + 1))
        return Wildcard(place, match["name"], MappingProxyType(arguments))

    def _split_arguments(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        at = start
        begin = start
        while at < end:
            if self._text[at] == ",":
                yield begin, at
                begin = at + 1
            at = self._ends.get(at, at) + 1
        yield begin, end


def _read_bounds(count: re.Match[str], options: int) -> tuple[int, int]:
    if count["exact"]:
        return int(count["exact"]), int(count["exact"])
    low, high = int(count["low"] or 1), int(count["high"] or max(1, options))
    return min(low, high), max(low, high)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space around it."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _check_mark(mark: str, column: int) -> None:
    """sd-dynamic-prompts' marks of a sampler: random is what every slot is here."""
    if mark != "~":
        hint = f"--combine makes every combination; put a space before the {mark} for the character"
        raise TemplateError(f"{mark} at the beginning of a slot is not supported", column, hint)
