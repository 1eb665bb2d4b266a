"""Writes the table of switches into the README, between its markers: python -m scripts.readme"""

from __future__ import annotations

import re
from pathlib import Path

from dream.line import flag_table

README = Path(__file__).resolve().parents[1] / "README.md"
FLAGS = "flags"


def between(text: str, name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->`. Raises ValueError without them."""
    return _found(text, name)[0]


def replaced(text: str, name: str, new: str) -> str:
    """The text with something else between the markers."""
    start, end = _found(text, name).span()
    return f"{text[:start]}\n{new}{text[end:]}"


def _found(text: str, name: str) -> re.Match[str]:
    found = re.search(f"(?s)(?<=<!-- {name} -->).*?(?=<!-- /{name} -->)", text)
    if found is None:
        raise ValueError(f"there are no markers <!-- {name} --> … <!-- /{name} -->")
    return found


if __name__ == "__main__":
    README.write_text(
        replaced(README.read_text(encoding="utf-8"), FLAGS, flag_table()), encoding="utf-8"
    )
