"""Run the prompt on a terminal that can only print: no colours, menus or status bar. The system
edits the line, and each line finishes before the next is read."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

from prompt_toolkit.history import History

from dream.commands import (
    COMMANDS,
    Context,
    InsertText,
    Questions,
    TextOutput,
    get_questions,
    run_line,
)
from dream.core.events import Event
from dream.core.interrupts import Interrupts
from dream.core.plain_text import make_printable
from dream.session import Session
from dream.terminal.history_file import FILE_NAME, LEAVE, LineHistory
from dream.terminal.screen import Screen
from dream.terminal.style import MESSAGE


def run_dumb_terminal(session: Session, screen: Screen) -> int:
    """Read lines, run each and show its events; the exit status."""
    notes: list[str] = []
    history = LineHistory(session.outdir / FILE_NAME, notes.append)
    context = Context(session, history.read_lines, COMMANDS, history.clear)
    ask = DumbPrompt(history, screen.write)

    def show(event: Event) -> None:
        if isinstance(event, InsertText):
            ask.text = event.text
        else:
            screen.show(event)

    with Interrupts() as interrupts:
        session.preload()
        for line in _read_lines(ask, screen):
            while notes:
                screen.say(notes.pop())
            for complete_line in _ask_questions(get_questions(context, line), ask, screen):
                interrupts.follow(run_line(context, complete_line), show)
    return 0


def _read_lines(ask: DumbPrompt, screen: Screen) -> Iterator[str]:
    """Yield each entered line until the user quits."""
    while True:
        try:
            line = ask()
        except KeyboardInterrupt:
            screen.say("to quit, type q or press Ctrl-D")
            continue
        except EOFError:
            return
        if line.strip() in LEAVE:
            return
        screen.note_typed_line(line)
        yield line


def _ask_questions(asking: Questions, ask: DumbPrompt, screen: Screen) -> tuple[str, ...]:
    """Ask the user what a line leaves open; returns the complete lines."""
    try:
        question = next(asking)
        while True:
            if question.about:
                screen.show(TextOutput(lines=question.about))
            default = f" [{question.default}]" if question.default else ""
            keys = f" ({'/'.join(question.keys)})" if question.keys else ""
            answer = ask.read(f"{question.text}{default}{keys} ").strip() or question.default
            if question.keys:
                answer = next((key for key in question.keys if key == answer), question.keys[-1])
            question = asking.send(answer)
    except StopIteration as end:
        done: tuple[str, ...] = end.value
        return done
    except (KeyboardInterrupt, EOFError):
        screen.say("cancelled")
        return ()


class DumbPrompt:
    """Reads lines from standard input and prints the prompt with `write`. Entered lines are added
    to the history, though no key recalls them."""

    def __init__(self, history: History, write: Callable[[str], None]) -> None:
        self._history, self._write = history, write
        self.text = ""
        """Text inserted by a command. It cannot be edited here; it is shown above the prompt, to be
        copied."""

    def __call__(self) -> str:
        """Read the next line. Raises what `read` raises."""
        inserted, self.text = make_printable(self.text), ""
        line = self.read(f"{inserted}\n{MESSAGE}" if inserted else MESSAGE)
        if line.strip():
            self._history.append_string(line)
        return line

    def read(self, message: str) -> str:
        """Print the message and read a line. Raises EOFError at the end of input and
        KeyboardInterrupt on Ctrl-C."""
        former = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self._write(message)
            line = sys.stdin.buffer.readline().decode(errors="replace")
        except KeyboardInterrupt:
            self._write("\n")
            raise
        finally:
            signal.signal(signal.SIGINT, former)
        if not line:
            self._write("\n")
            raise EOFError
        return line.rstrip("\r\n")
