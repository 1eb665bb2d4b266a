"""Reads a `Request` from the JSON in an image's record; `request.to_dict` is the inverse."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from dream.core.request import FLAGS, Request


def parse_request(record: Mapping[str, Any]) -> Request:
    """The request; unknown fields and invalid values are ignored. Raises nothing."""
    fields: dict[str, Any] = {}
    for name, flag in FLAGS.items():
        if name not in record:
            continue
        try:
            value = _value(_hints()[name], record[name])
            if flag.kind.read(flag.kind.write(value)) == value:
                fields[name] = value
        except (TypeError, ValueError, AttributeError, OverflowError):
            continue
    return Request(**fields)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Request)


def _value(hint: Any, value: Any) -> Any:
    """A list becomes the tuple that the field's annotation names."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    if not isinstance(value, list):
        if isinstance(value, bool) != (hint is bool) or isinstance(value, dict):
            raise TypeError
        return value
    if hasattr(hint, "_fields"):
        return hint(*value)
    (item, *_) = get_args(hint)
    return tuple(_value(item, one) for one in value)
