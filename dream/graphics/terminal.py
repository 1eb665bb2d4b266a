"""What a terminal can show, told from its own answers or else from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Protocol = Literal["kitty", "iterm2", "sixel", "symbols"]
"""How pictures are shown: three protocols of terminals, or characters in colours."""

Colours = Literal["all", "256", "16", "none"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

SMALLEST_CELL, LARGEST_CELL = (2, 4), (128, 256)
"""Width and height of a character in pixels: what a terminal may say without being misheard."""

MOST_PIXELS = 2048
"""Of a drawn picture's side, in the terminal's pixels: the library that draws takes several times
what it draws, and ends the process where memory is short."""

_DUMB = ("", "dumb", "unknown")


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """A terminal, as far as pictures go."""

    protocol: Protocol = "symbols"
    colours: Colours = "256"
    through_tmux: bool = False
    """Whether pictures must be wrapped, for tmux to hand them on."""
    cell: tuple[int, int] = (8, 16)
    """Width and height of a character, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a terminal said of itself."""

    kitty: bool = False
    """It understands kitty's graphics."""
    attributes: frozenset[int] = frozenset()
    """The primary device attributes (DA1); 4 is sixel. Empty when nothing was answered."""
    version: str = ""
    """Its name and version (XTVERSION), as in `WezTerm 20240203`."""
    cell: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Tmux:
    """What tmux knows of the terminal it runs in."""

    passthrough: bool = False
    """It hands on what is wrapped for that terminal."""
    outside: str = ""
    """That terminal's name and version."""


def is_dumb(environment: Mapping[str, str]) -> bool:
    """Whether the terminal can only print."""
    return environment.get("TERM", "").lower() in _DUMB


def describe_terminal(
    environment: Mapping[str, str], answers: Answers, tmux: Tmux | None
) -> Terminal:
    """The terminal: what it answered goes before what the environment says, which may be another
    terminal's. `tmux` is None where there is none in between."""
    cell = answers.cell or Terminal.cell
    colours = count_colours(environment)
    if environment.get("NO_COLOR"):
        return Terminal(colours="none", cell=cell)
    if tmux is not None:
        outside = _by_name(tmux.outside)
        if tmux.passthrough and outside == "kitty":
            return Terminal(protocol="kitty", colours=colours, through_tmux=True, cell=cell)
        own: Protocol = "sixel" if 4 in answers.attributes else "symbols"
        return Terminal(protocol=own, colours=colours, cell=cell)
    if answers.attributes or answers.kitty or answers.version:
        protocol = _by_answers(answers)
    else:
        protocol = _by_environment(environment)
    return Terminal(protocol=protocol, colours=colours, cell=cell)


def count_colours(environment: Mapping[str, str]) -> Colours:
    """How many colours characters may have. https://no-color.org"""
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR"):
        return "none"
    if environment.get("COLORTERM") in ("truecolor", "24bit") or "direct" in term:
        return "all"
    if _by_name(term) != "symbols" or "256" in term or environment.get("WT_SESSION"):
        return "256" if "256" in term else "all"
    return "16"


def _by_answers(answers: Answers) -> Protocol:
    if answers.kitty:
        return "kitty"
    if (named := _by_name(answers.version)) == "iterm2":
        return named
    return "sixel" if 4 in answers.attributes else "symbols"


def _by_environment(environment: Mapping[str, str]) -> Protocol:
    # screen takes pictures apart; nobody answered, so do not try.
    if environment.get("STY"):
        return "symbols"
    if environment.get("KITTY_WINDOW_ID"):
        return "kitty"
    names = (environment.get(name, "") for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL"))
    return next((found for found in map(_by_name, names) if found != "symbols"), "symbols")


def _by_name(name: str) -> Protocol:
    """By a terminal's name, wherever it stands."""
    match re.search(r"kitty|ghostty|iterm|wezterm|mintty|foot|mlterm|sixel", name.lower()):
        case None:
            return "symbols"
        case found if found[0] in ("kitty", "ghostty"):
            return "kitty"
        case found if found[0] in ("iterm", "wezterm", "mintty"):
            return "iterm2"
        case _:
            return "sixel"
