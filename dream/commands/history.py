"""Commands about what was typed before."""

from __future__ import annotations

from collections.abc import Sequence

from dream.commands.command import Context, InsertText, Line, Question, Questions, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events, Note
from dream.gallery import LOG_NAME, read_last_lines
from dream.line import format_sweep, is_skipped, make_typable, parse_facts, parse_log_line
from dream.session.image_prompts import make_line_typable

_SHOWN = 20
"""Lines of the past shown at once, unless more are asked for."""


def show_history(context: Context, argument: str) -> Events[None]:
    """!history [N]: the last N lines, numbered for !NN."""
    if argument and not (_is_number(argument) and int(argument)):
        raise BadLine(f"!history takes how many lines to show, not “{argument}”")
    yield _numbered(list(enumerate(context.history(), 1)), int(argument or _SHOWN))


def search_history(context: Context, argument: str) -> Events[None]:
    """!search WORDS: the lines that hold all the words, in any order, large or small."""
    wanted = argument.casefold().split()
    if not wanted:
        raise BadLine("!search takes words to look for, but nothing follows")
    found = [
        (number, line)
        for number, line in enumerate(context.history(), 1)
        if all(word in line.casefold() for word in wanted)
    ]
    yield _numbered(found, _SHOWN)


def recall_line(context: Context, argument: str) -> Events[None]:
    """!NN: line NN of the history, into the edit line."""
    lines = context.history()
    if not _is_number(argument) or not 0 < int(argument) <= len(lines):
        reach = f"1 to {len(lines)}" if lines else "none so far"
        raise BadLine(f"there is no line !{argument} (lines are {reach})", 0, "!history lists them")
    yield InsertText(text=lines[int(argument) - 1])


def edit_last_line(context: Context, argument: str) -> Events[None]:
    """!last: the line whose pictures were made last, into the edit line, with their seed; in a
    new session the log's last line."""
    studio = context.studio
    if studio.last is not None:
        yield InsertText(text=format_sweep(studio.last, studio.base))
        return
    logged = [line for line in read_last_lines(studio.outdir / LOG_NAME) if not is_skipped(line)]
    if not logged:
        raise BadLine("no line was made yet", 0, "!history has those that were typed")
    recorded = parse_log_line(logged[-1])
    ours = "sha256" in parse_facts(recorded.comment)
    yield InsertText(text=make_line_typable(make_typable(recorded.line), ours=ours))


def clear_history(context: Context, argument: str) -> Events[None]:
    """!clear: forget the history. `yes` says that its person was asked."""
    count = _lines(context)
    if argument == "yes":
        context.clear_history()
        yield Note(text=f"{count} forgotten; pictures and their log are as they were")
    else:
        yield Note(text=f"the history has {count}, of all sessions; !clear yes forgets them")


def ask_about_clearing(context: Context, argument: str) -> Questions:
    """Whether to forget the history, for it cannot be undone."""
    if argument == "yes":
        return (f"!clear {argument}",)
    question = f"forget the history, {_lines(context)} of this and all other sessions?"
    return ("!clear yes",) if (yield Question(question, keys="yn")) == "y" else ()


def _lines(context: Context) -> str:
    count = len(context.history())
    return f"{count:,} line{'s' if count != 1 else ''}"


def _numbered(lines: Sequence[tuple[int, str]], most: int) -> TextOutput:
    left_out = len(lines) - most
    page: list[Line] = [f"{number:5}  {line}" for number, line in lines[-most:]]
    if not page:
        page = ["nothing found"]
    elif left_out > 0:
        page.insert(0, f"       … and {left_out} before these")
    return TextOutput(lines=tuple(page))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
