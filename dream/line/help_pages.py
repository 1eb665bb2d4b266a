"""Pages about the switches, made from the tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from dream.core.cli_options import CLI_FLAGS
from dream.core.request import FLAGS
from dream.options.option_type import Flag

_COLUMNS = 80
_INDENT = 30

_ABOUT = """\
dream: make pictures from words, at a prompt, on your own machine

Usage: dream                          open the prompt
       dream WORDS … [SWITCHES]       make these pictures and leave
       dream --from_file FILE         make every line of a file, or of a log

Examples:
  dream> a red circle on blue -n2 -s20 -U2
  dream> "there's a fly in my soup" -S42 -W512 -H384 --negative="spoon, hair"
  dream> outputs/img-samples/000012.42.png: "a red circle" -s20 -S42

A switch takes its value glued (-s20), apart (-s 20) or after = (--steps=20).
Long names may be shortened while unambiguous; - and _ are alike in them.
--no-NAME goes back to NAME's built-in default. Switches given when dream starts
become the defaults of every line. A prompt needs quotes only if a word of it
begins with a dash and a letter. What follows a # behind the switches is a
comment.
"""


def format_help() -> str:
    """All switches and options by section, 80 columns wide."""
    pages = [_ABOUT]
    for section, flags in _sections():
        pages.append(f"{section.capitalize()}:\n" + "".join(map(_entry, flags)))
    return "\n".join(pages)


def format_flag_table() -> str:
    """The switches and options as Markdown, for the README."""
    rows = ["| switch | value | what it does |", "|---|---|---|"]
    for section, flags in _sections():
        rows.append(f"| **{section}** | | |")
        for flag in flags:
            names = " ".join(f"`{name}`" for name in flag.names)
            value = f"`{flag.kind.metavar}`" if flag.kind.metavar else ""
            rows.append(f"| {names} | {value} | {_told(flag).replace('|', '&#124;')} |")
    return "\n".join(rows) + "\n"


def _sections() -> Iterator[tuple[str, list[Flag]]]:
    sections: dict[str, list[Flag]] = {}
    for flag in [*FLAGS.values(), *CLI_FLAGS.values()]:
        sections.setdefault(flag.section, []).append(flag)
    yield from sections.items()


def _entry(flag: Flag) -> str:
    names = f"  {', '.join(flag.names)} {flag.kind.metavar}".rstrip()
    told = textwrap.wrap(_told(flag), _COLUMNS - _INDENT)
    if len(names) > _INDENT - 2:
        told.insert(0, "")
    first = f"{names:{_INDENT}}{told[0]}".rstrip()
    return "\n".join([first, *(" " * _INDENT + line for line in told[1:])]) + "\n"


def _told(flag: Flag) -> str:
    told = flag.help
    if flag.kind.choices and not all(name in told for name in flag.kind.choices):
        told += ": " + " ".join(flag.kind.choices)
    if flag.default not in (None, False, ""):
        told += f" (default {' '.join(flag.kind.write(flag.default))})"
    return told
