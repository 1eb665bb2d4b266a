"""The language of the line: text in, text out. Standard library only.

    read(write(request, base), base) == request        for every request and base

A line is a prompt, then switches, as InvokeAI had them; `words` says what a word is, `names` what
a switch may be called, `formerly` what old lines hold that is not here (yet).
"""

from dream.line.argv import command_of, logged_of, read_argv, read_setting, setting_named
from dream.line.lent import typable
from dream.line.logged import LogLine, behind_prefix, facts, is_skipped, read_log_line
from dream.line.negative import positive_negative
from dream.line.read import read, read_leniently
from dream.line.sweep import Axis, Sweep, read_sweep, write_sweep
from dream.line.words import Word, quote, words
from dream.line.write import write, write_fields, write_spelled

__all__ = [
    "Axis",
    "LogLine",
    "Sweep",
    "Word",
    "behind_prefix",
    "command_of",
    "facts",
    "is_skipped",
    "logged_of",
    "positive_negative",
    "quote",
    "read",
    "read_argv",
    "read_leniently",
    "read_log_line",
    "read_setting",
    "read_sweep",
    "setting_named",
    "typable",
    "words",
    "write",
    "write_fields",
    "write_spelled",
    "write_sweep",
]
