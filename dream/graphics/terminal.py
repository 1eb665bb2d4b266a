"""Detects what a terminal can show, from its own answers or else from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Protocol = Literal["kitty", "iterm2", "sixel", "symbols"]
"""How images are shown: by one of three terminal protocols, or as coloured characters."""

Colours = Literal["all", "256", "16", "none"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

SMALLEST_CELL, LARGEST_CELL = (2, 4), (128, 256)
"""Valid range of a character cell's width and height, in pixels."""

MOST_PIXELS = 2048
"""Maximum side of a rendered image, in the terminal's pixels: chafa needs several times the memory
of the image, and aborts the process if memory runs out."""

_DUMB = ("", "dumb", "unknown")


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """How a terminal shows images."""

    protocol: Protocol = "symbols"
    colours: Colours = "256"
    through_tmux: bool = False
    """Whether images must be wrapped, so that tmux passes them through."""
    cell: tuple[int, int] = (8, 16)
    """Width and height of a character, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A terminal's answers to queries."""

    kitty: bool = False
    """Whether it supports kitty's graphics protocol."""
    attributes: frozenset[int] = frozenset()
    """The primary device attributes (DA1); 4 is sixel. Empty without an answer."""
    version: str = ""
    """Its name and version (XTVERSION), such as `WezTerm 20240203`."""
    cell: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Tmux:
    """What tmux reports about the terminal it runs in."""

    passthrough: bool = False
    """Whether it passes wrapped sequences through to that terminal."""
    outside: str = ""
    """Name and version of that terminal."""


def is_dumb(environment: Mapping[str, str]) -> bool:
    """Whether the terminal supports no escape sequences."""
    return environment.get("TERM", "").lower() in _DUMB


def describe_terminal(
    environment: Mapping[str, str], answers: Answers, tmux: Tmux | None
) -> Terminal:
    """Combine the terminal's answers and the environment. Answers take precedence: the environment
    may be of another terminal. `tmux` is None outside tmux."""
    cell = answers.cell or Terminal.cell
    colours = count_colours(environment)
    if environment.get("NO_COLOR"):
        return Terminal(colours="none", cell=cell)
    if tmux is not None:
        if tmux.passthrough and _by_name(tmux.outside) == "kitty":
            return Terminal(protocol="kitty", colours=colours, through_tmux=True, cell=cell)
        protocol: Protocol = "sixel" if 4 in answers.attributes else "symbols"
    elif answers.attributes or answers.kitty or answers.version:
        protocol = _by_answers(answers)
    else:
        protocol = _by_environment(environment)
    return Terminal(protocol=protocol, colours=colours, cell=cell)


def count_colours(environment: Mapping[str, str]) -> Colours:
    """How many colours the terminal supports. https://no-color.org"""
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
    # screen breaks images, and there was no answer.
    if environment.get("STY"):
        return "symbols"
    if environment.get("KITTY_WINDOW_ID"):
        return "kitty"
    names = (environment.get(name, "") for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL"))
    return next((protocol for protocol in map(_by_name, names) if protocol != "symbols"), "symbols")


def _by_name(name: str) -> Protocol:
    """The protocol for a terminal's name."""
    match re.search(r"kitty|ghostty|iterm|wezterm|mintty|foot|mlterm|sixel", name.lower()):
        case None:
            return "symbols"
        case protocol if protocol[0] in ("kitty", "ghostty"):
            return "kitty"
        case protocol if protocol[0] in ("iterm", "wezterm", "mintty"):
            return "iterm2"
        case _:
            return "sixel"
