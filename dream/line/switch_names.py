"""Finds the switch of a typed word.

Dashes and underscores are the same in long names, and a long name can be shortened if it stays
unambiguous. Of short names the longest known one counts, followed by its value: `-s50`.
`--no-NAME` resets any NAME to its built-in default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from dream.core.cli_options import CLI_FLAGS, CliOptions
from dream.core.errors import BadLine
from dream.core.errors import excerpt as excerpt  # those who read lines find it here
from dream.core.request import FLAGS, Request
from dream.line.foreign_switches import FOREIGN_SWITCHES
from dream.line.legacy_switches import LEGACY_FLAGS, LegacySwitches
from dream.line.words import Word
from dream.options.option_type import Flag


class SwitchEntry(NamedTuple):
    """The switch of a name."""

    table: type[Any]
    """Request, CliOptions or LegacySwitches."""
    field: str
    flag: Flag
    undo: bool
    """Whether it is `--no-NAME`."""


class SwitchMatch(NamedTuple):
    """The switch that a typed word means."""

    known: SwitchEntry
    name: str
    """As it was typed, without the value."""
    value: str | None
    """The value joined to it or after its `=`."""


Names = tuple[Mapping[str, SwitchEntry], ...]
"""Groups of names in order of priority, so that `--mod` means --model in a line although there is a
launch option --models_dir."""


def _names(table: type[Any], flags: Mapping[str, Flag]) -> dict[str, SwitchEntry]:
    names: dict[str, SwitchEntry] = {}
    for field, flag in flags.items():
        for name in map(_alike, flag.names):
            names[name] = SwitchEntry(table, field, flag, undo=False)
            if name.startswith("--"):
                names[f"--no_{name[2:]}"] = SwitchEntry(table, field, flag, undo=True)
    return names


def _alike(name: str) -> str:
    dashes = len(name) - len(name.lstrip("-"))
    return name[:dashes] + name[dashes:].replace("-", "_")


_INDIVIDUAL = SwitchEntry(Request, "grid", FLAGS["grid"], undo=True)
_GRID_OF = SwitchEntry(Request, "iterations", FLAGS["iterations"], undo=False)
"""How logs of 1.11 to 1.13 give the number of images on a grid: `--grid -N4`."""
_GUIDANCE = SwitchEntry(Request, "cfg_scale", FLAGS["cfg_scale"], undo=False)
"""Cut short it meant this one before there was --cfg_rescale."""
_OWN = _names(Request, FLAGS) | {
    **dict.fromkeys(("--c", "--cf", "--cfg", "--cfg_"), _GUIDANCE),
    "-i": _INDIVIDUAL,
    "--individual": _INDIVIDUAL,
    "-N": _GRID_OF,
}
_FORMER = _names(LegacySwitches, LEGACY_FLAGS)
_LAUNCH = _names(CliOptions, CLI_FLAGS)

LINE: Names = (MappingProxyType(_OWN), MappingProxyType(_FORMER), MappingProxyType(_LAUNCH))
"""What may stand in a line, and what must be explained there."""

SHELL: Names = (MappingProxyType(_LAUNCH | _OWN), MappingProxyType(_FORMER))
"""What may stand in the shell's command."""

_LONGEST_SHORT = max(len(name) for tier in LINE for name in tier if not name.startswith("--"))


def match_switch(word: Word, names: Names, otherwise: str = "") -> SwitchMatch:
    """The switch a word means. `otherwise` is the hint for a word that was not meant as one.

    Raises BadLine for an unknown or ambiguous name, with the nearest known ones.
    """
    head, equals, value = word.text.partition("=")
    key = _alike(head)
    for tier in names:
        if key in tier:
            return SwitchMatch(tier[key], head, value if equals else None)
    if key.startswith("--"):
        if known := _shortened(word, key, names):
            return SwitchMatch(known, head, value if equals else None)
    elif not any("-" + key in tier for tier in names) and (found := _glued(word.text, names)):
        return found
    raise make_unknown_switch_error(word, names, otherwise)


def make_unknown_switch_error(word: Word, names: Names, otherwise: str = "") -> BadLine:
    """The error for a word that is no switch, naming the nearest that are."""
    if foreign := _foreign(word):
        return BadLine(f"“{excerpt(word.text)}” is not a switch", word.start + 1, foreign)
    hints = [f"did you mean {near}?"] if (near := _nearest(word, names)) else []
    hint = " ".join([*hints, *([otherwise] if otherwise else [])])
    return BadLine(f"“{excerpt(word.text)}” is not a switch", word.start + 1, hint)


def find_near(typed: str, known: Iterable[str]) -> str:
    """The nearest of some names, or nothing when none is near."""
    import difflib  # only what is wrong needs it

    # Long words are never near, and difflib is slow to say so.
    near = difflib.get_close_matches(typed, known, 1, 0.6) if len(typed) <= 40 else []
    return near[0] if near else ""


def _shortened(word: Word, key: str, names: Names) -> SwitchEntry | None:
    # Only what begins with --no- can mean --no-NAME, or --n would be ambiguous for its sake.
    undo = key.startswith("--no_")
    for tier in names:
        suggestions = {
            known.field: known
            for name, known in tier.items()
            if name.startswith(key) and known.undo is undo
        }
        if len(suggestions) > 1:
            which = " ".join(
                f"--{'no-' * undo}{known.flag.long_name}" for known in suggestions.values()
            )
            raise BadLine(f"“{excerpt(word.text)}” could be any of {which}", word.start + 1)
        if suggestions:
            return next(iter(suggestions.values()))
    return None


def _glued(text: str, names: Names) -> SwitchMatch | None:
    for size in range(min(len(text), _LONGEST_SHORT), 1, -1):
        for tier in names:
            known = tier.get(_alike(text[:size]))
            if known and not known.undo and known.flag.kind.nargs[1]:
                return SwitchMatch(known, text[:size], text[size:])
    return None


def _foreign(word: Word) -> str:
    """What another program's switch is here, or nothing."""
    head = word.text.partition("=")[0]
    ours = FOREIGN_SWITCHES.get(_alike(head))
    return f"{head} is {ours} here" if ours else ""


def _nearest(word: Word, names: Names) -> str:
    head = _alike(word.text.partition("=")[0])
    for tier in names:
        spellings_of = {_alike(name): name for known in tier.values() for name in known.flag.names}
        candidates = [name for name in spellings_of if len(name) > 2]
        if "-" + head in spellings_of:
            return spellings_of["-" + head]
        if near := find_near(head, candidates) or find_near("-" + head, candidates):
            return spellings_of[near]
    return ""
