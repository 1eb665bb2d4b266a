"""Commands that show, search, reuse and clear the history of entered lines."""

from __future__ import annotations

from collections.abc import Sequence

from dream.commands.command import Context, InsertText, Line, Question, Questions, TextOutput
from dream.core.errors import BadLine
from dream.core.events import Events, Note
from dream.gallery import LOG_NAME, read_last_lines
from dream.line import format_sweep, is_skipped, make_typable, parse_facts, parse_log_line
from dream.session.image_prompts import make_line_typable

_MAX_SHOWN = 20
"""How many lines are shown by default."""


def show_history(context: Context, argument: str) -> Events[None]:
    """!history [N]: list the last N lines, numbered for !NN."""
    if argument and not (_is_number(argument) and int(argument)):
        raise BadLine(f"!history takes a number of lines, not “{argument}”")
    yield _format_numbered(list(enumerate(context.history(), 1)), int(argument or _MAX_SHOWN))


def search_history(context: Context, argument: str) -> Events[None]:
    """!search WORDS: list the lines that contain all the words, in any order and any case."""
    words = argument.casefold().split()
    if not words:
        raise BadLine("!search needs words to search for")
    matches = [
        (number, line)
        for number, line in enumerate(context.history(), 1)
        if all(word in line.casefold() for word in words)
    ]
    yield _format_numbered(matches, _MAX_SHOWN)


def recall_line(context: Context, argument: str) -> Events[None]:
    """!NN: insert line NN of the history into the edit line."""
    lines = context.history()
    if not _is_number(argument) or not 0 < int(argument) <= len(lines):
        numbers = f"1 to {len(lines)}" if lines else "none so far"
        raise BadLine(
            f"there is no line !{argument} (lines are {numbers})", 0, "!history lists them"
        )
    yield InsertText(text=lines[int(argument) - 1])


def edit_last_line(context: Context, argument: str) -> Events[None]:
    """!last: insert the line of the last images, with their seed, into the edit line; in a new
    session the last line of the log."""
    session = context.session
    if session.last is not None:
        yield InsertText(text=format_sweep(session.last, session.base))
        return
    logged = [line for line in read_last_lines(session.outdir / LOG_NAME) if not is_skipped(line)]
    if not logged:
        raise BadLine("no image was made yet", 0, "!history lists the lines that were entered")
    recorded = parse_log_line(logged[-1])
    is_ours = "sha256" in parse_facts(recorded.comment)
    yield InsertText(text=make_line_typable(make_typable(recorded.line), ours=is_ours))


def clear_history(context: Context, argument: str) -> Events[None]:
    """!clear: delete the history. `yes` means that the user has confirmed."""
    count = _count_history(context)
    if argument == "yes":
        context.clear_history()
        yield Note(text=f"{count} deleted; images and their log are kept")
    else:
        yield Note(text=f"the history has {count} from all sessions; !clear yes deletes them")


def ask_about_clearing(context: Context, argument: str) -> Questions:
    """Ask before the history is deleted, because it cannot be undone."""
    if argument == "yes":
        return (f"!clear {argument}",)
    question = f"delete the history ({_count_history(context)} from all sessions)?"
    return ("!clear yes",) if (yield Question(question, keys="yn")) == "y" else ()


def _count_history(context: Context) -> str:
    count = len(context.history())
    return f"{count:,} line{'s' if count != 1 else ''}"


def _format_numbered(lines: Sequence[tuple[int, str]], most: int) -> TextOutput:
    left_out = len(lines) - most
    page: list[Line] = [f"{number:5}  {line}" for number, line in lines[-most:]]
    if not page:
        page = ["nothing found"]
    elif left_out > 0:
        page.insert(0, f"       … and {left_out} earlier")
    return TextOutput(lines=tuple(page))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
