"""Parses and formats lines. Standard library only.

    parse_line(format_line(request, base), base) == request        for every request and base

A line is a prompt, then switches, as in InvokeAI. `words` is the tokenizer, `switch_names` finds a
switch by its name, `legacy_switches` has InvokeAI's switches that are not supported.
"""

from dream.line.argv import find_command_line, find_setting, logged_of, parse_argv, parse_setting
from dream.line.format import (
    format_changes,
    format_explicitly,
    format_fields,
    format_line,
    write_spelled,
)
from dream.line.log_lines import LogLine, behind_prefix, is_skipped, parse_facts, parse_log_line
from dream.line.parse import parse_line, read_leniently
from dream.line.sweep import Axis, Sweep, Words, check_count, format_sweep, parse_sweep
from dream.line.untrusted_text import make_typable
from dream.line.words import Word, quote, split_words
from dream.prompt import split_negative

__all__ = [
    "Axis",
    "LogLine",
    "Sweep",
    "Word",
    "Words",
    "behind_prefix",
    "check_count",
    "find_command_line",
    "find_setting",
    "format_changes",
    "format_explicitly",
    "format_fields",
    "format_line",
    "format_sweep",
    "is_skipped",
    "logged_of",
    "make_typable",
    "parse_argv",
    "parse_facts",
    "parse_line",
    "parse_log_line",
    "parse_setting",
    "parse_sweep",
    "quote",
    "read_leniently",
    "split_negative",
    "split_words",
    "write_spelled",
]
