"""Searches the tensor names of a file for the marks by which files are detected."""

from __future__ import annotations

from collections.abc import Collection

from dream.options.family import Marks

_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.")


class TensorNames:
    """The tensor names of a file, joined to one text so that substring search is fast."""

    def __init__(self, names: Collection[str]) -> None:
        whole = "\n".join(names)
        bare = whole
        for prefix in _PREFIXES:
            bare = bare.replace(f"\n{prefix}", "\n").removeprefix(prefix)
        self._text = f"\n{whole}\n{bare}\n" if bare != whole else f"\n{whole}\n"

    def has(self, mark: str) -> bool:
        """Whether a tensor name contains this part of a mark."""
        start, end = "\n" if mark[0] == "^" else "", "\n" if mark[-1] == "$" else ""
        return f"{start}{mark.removeprefix('^').removesuffix('$')}{end}" in self._text

    def matches(self, marks: Marks) -> bool:
        """Whether all parts of one of the marks are present."""
        return any(all(map(self.has, mark)) for mark in marks)
