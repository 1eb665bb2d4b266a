"""Parses lists of values: `5,7.5,10`, `k_euler,ddim`, `10..50:10`, `1,5..8,20`.

A range includes its ends, counts down if it starts above its end, and has a step of 1 by default.
It is counted in decimals: `7..8:0.1` is exactly 7, 7.1, 7.2 …
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dream.core.errors import BadLine
from dream.line.switch_names import excerpt, find_near
from dream.options.option_type import OptionType

MAX_VALUES = 10_000
"""Maximum values of a list, and images of a line."""

_DIGITS = 50
"""Precision of the decimals of a range; a float has 17."""


class ValueList(NamedTuple):
    """The values of a list, two or more, in the typed order."""

    values: tuple[Any, ...]


class _Item(NamedTuple):
    """A part of a list, and its column."""

    text: str
    column: int


def parse_list(name: str, kind: OptionType[Any], text: str, column: int) -> Any:
    """The values of a list, as `ValueList`; or the value itself, if there is only one.

    `name` is the switch as typed, `column` where the text begins. Raises BadLine, with the column
    of the wrong item.
    """
    values: list[Any] = []
    for item in _items(text, column):
        for part in _expand_range(name, kind, item):
            values.append(_value(name, kind, part))
            if len(values) > MAX_VALUES:
                raise _too_many(name, item)
    return ValueList(tuple(values)) if len(values) > 1 else values[0]


def _items(text: str, column: int) -> Iterator[_Item]:
    for part in text.split(","):
        if not part:
            message = f"a value is missing between the commas of “{excerpt(text)}”"
            raise BadLine(message, column, "a list has no spaces: 5,7.5,10")
        yield _Item(part, column)
        column += len(part) + 1


def _expand_range(name: str, kind: OptionType[Any], item: _Item) -> Iterator[_Item]:
    """The values of a range; any other item as it is."""
    if not kind.allows_range or ".." not in item.text:
        yield item
        return
    from decimal import Context, Decimal, localcontext  # imported late: few lines need it

    first, _, rest = item.text.partition("..")
    last, colon, step = rest.partition(":")
    behind = item.column + len(first) + 2
    _value(name, kind, _Item(first, item.column))
    _value(name, kind, _Item(last, behind))
    with localcontext(Context(prec=_DIGITS)):
        start, end = Decimal(first), Decimal(last)
        by = _step(step, behind + len(last) + 1) if colon else Decimal(1)
        try:
            count = int(abs(end - start) // by) + 1
        except ArithmeticError:  # too many to count
            raise _too_many(name, item) from None
        if count > MAX_VALUES:
            raise _too_many(name, item)
        by = by if start <= end else -by
        counted = [format((start + by * n).normalize(), "f") for n in range(count)]
    yield from (_Item(text, item.column) for text in counted)


def _step(text: str, column: int) -> Any:
    from decimal import Decimal

    try:
        step = Decimal(text)
    except ArithmeticError:
        step = Decimal(0)
    if not (step.is_finite() and step > 0):
        raise BadLine(
            f"the step of a range must be a number above 0, not “{excerpt(text)}”", column
        )
    return step


def _value(name: str, kind: OptionType[Any], item: _Item) -> Any:
    try:
        return kind.read([item.text])
    except ValueError:
        suggestion = find_near(item.text, kind.choices)
        raise BadLine(
            f"{name} takes {kind.expects}, not “{excerpt(item.text)}”",
            item.column,
            f"did you mean {suggestion}?" if suggestion else "",
        ) from None


def _too_many(name: str, item: _Item) -> BadLine:
    message = f"{name} {excerpt(item.text)} has more than {MAX_VALUES:,} values"
    return BadLine(message, item.column, "use a larger step: 1..1000:100")
