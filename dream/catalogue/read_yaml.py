"""Parses YAML of unknown origin safely."""

from __future__ import annotations

from typing import Any

_MAX_DEPTH = 20
"""Maximum levels of nesting; files of models and of wildcards have three."""
_MAX_VALUE_LENGTH = 4096
"""Maximum characters of a value; parsing a base-60 number takes time quadratic in its length."""


def parse_yaml(data: bytes) -> Any:
    """Parse YAML of plain values. Raises only ValueError: for invalid YAML, and for aliases, with
    which ten lines can stand for billions of values."""
    import yaml  # imported late: few lines need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(data, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases (*), which are not supported")
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_VALUE_LENGTH:
                raise ValueError(f"it has a value of more than {_MAX_VALUE_LENGTH:,} characters")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise ValueError(f"it has more than {_MAX_DEPTH} levels")
        return yaml.load(data, Loader=loader)
    except ValueError:
        raise
    except (Exception, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
