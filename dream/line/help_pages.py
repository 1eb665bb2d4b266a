"""Help pages about the switches, generated from the tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from dream.core.cli_options import CLI_FLAGS
from dream.core.request import FLAGS
from dream.options.option_type import Flag

_COLUMNS = 80
_INDENT = 30

_ABOUT = """\
dream: generate images from text at a prompt, on your own machine

Usage: dream                          open the prompt
       dream PROMPT … [SWITCHES]      generate images and exit
       dream --from_file FILE         run every line of a prompt list or a log

Examples:
  dream> a red circle on blue -n2 -s20 -U2
  dream> "there's a fly in my soup" -S42 -W512 -H384 --negative="spoon, hair"
  dream> outputs/img-samples/000012.42.png: "a red circle" -s20 -S42

-s20, -s 20 and --steps=20 are the same. Long names can be shortened if they
stay unambiguous, and - and _ in them are the same. --no-NAME resets NAME to its
built-in default. Switches on the command line become the defaults of every
line. A prompt needs quotes only if one of its words begins with a dash and a
letter. Text after # behind the switches is a comment.
"""


def format_help() -> str:
    """All switches and options by section, 80 columns wide."""
    pages = [_ABOUT]
    for section, flags in _sections():
        pages.append(f"{section.capitalize()}:\n" + "".join(map(_entry, flags)))
    return "\n".join(pages)


def format_flag_table() -> str:
    """The switches and options as a Markdown table, for docs/reference.md."""
    rows = ["| switch | value | what it does |", "|---|---|---|"]
    for section, flags in _sections():
        rows.append(f"| **{section}** | | |")
        for flag in flags:
            names = " ".join(f"`{name}`" for name in flag.names)
            value = f"`{flag.kind.metavar}`" if flag.kind.metavar else ""
            rows.append(f"| {names} | {value} | {_describe(flag).replace('|', '&#124;')} |")
    return "\n".join(rows) + "\n"


def _sections() -> Iterator[tuple[str, list[Flag]]]:
    sections: dict[str, list[Flag]] = {}
    for flag in [*FLAGS.values(), *CLI_FLAGS.values()]:
        sections.setdefault(flag.section, []).append(flag)
    yield from sections.items()


def _entry(flag: Flag) -> str:
    names = f"  {', '.join(flag.names)} {flag.kind.metavar}".rstrip()
    text = textwrap.wrap(_describe(flag), _COLUMNS - _INDENT)
    if len(names) > _INDENT - 2:
        text.insert(0, "")
    first = f"{names:{_INDENT}}{text[0]}".rstrip()
    return "\n".join([first, *(" " * _INDENT + line for line in text[1:])]) + "\n"


def _describe(flag: Flag) -> str:
    text = flag.help
    if flag.kind.choices and not all(name in text for name in flag.kind.choices):
        text += ": " + " ".join(flag.kind.choices)
    if flag.default not in (None, False, ""):
        text += f" (default {' '.join(flag.kind.write(flag.default))})"
    return text
