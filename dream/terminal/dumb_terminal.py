"""The prompt of a terminal that can only print: no colours, no menus, nothing below the line. The
system edits it, and each line is made before the next is asked for."""

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


def run_dumb_terminal(studio: Session, screen: Screen) -> int:
    """The loop: for each line that is entered, do it and show what happens."""
    notes: list[str] = []
    history = LineHistory(studio.outdir / FILE_NAME, notes.append)
    context = Context(studio, history.read_lines, COMMANDS, history.clear)
    ask = DumbPrompt(history, screen.write)

    def show(event: Event) -> None:
        if isinstance(event, InsertText):
            ask.text = event.text
        else:
            screen.show(event)

    with Interrupts() as interrupts:
        studio.preload()
        for line in _entered(ask, screen):
            while notes:
                screen.say(notes.pop())
            for meant in _meant(get_questions(context, line), ask, screen):
                interrupts.follow(run_line(context, meant), show)
    return 0


def _entered(ask: DumbPrompt, screen: Screen) -> Iterator[str]:
    """Each line that is typed, until the person leaves."""
    while True:
        try:
            line = ask()
        except KeyboardInterrupt:
            screen.say("to leave, type q or press Ctrl-D")
            continue
        except EOFError:
            return
        if line.strip() in LEAVE:
            return
        screen.note_typed_line(line)
        yield line


def _meant(asking: Questions, ask: DumbPrompt, screen: Screen) -> tuple[str, ...]:
    """The line, or those that say all that it left open: its person is asked."""
    try:
        question = next(asking)
        while True:
            if question.about:
                screen.show(TextOutput(lines=question.about))
            ready = f" [{question.default}]" if question.default else ""
            keys = f" ({'/'.join(question.keys)})" if question.keys else ""
            answer = ask.read(f"{question.text}{ready}{keys} ").strip() or question.default
            if question.keys:
                answer = next((key for key in question.keys if key == answer), question.keys[-1])
            question = asking.send(answer)
    except StopIteration as end:
        done: tuple[str, ...] = end.value
        return done
    except (KeyboardInterrupt, EOFError):
        screen.say("given up")
        return ()


class DumbPrompt:
    """Asks for lines on standard input, through `write`. History is kept, though no key recalls
    it."""

    def __init__(self, history: History, write: Callable[[str], None]) -> None:
        self._history, self._write = history, write
        self.text = ""
        """What the next line should begin with. It cannot be edited here; it is shown, to be
        copied."""

    def __call__(self) -> str:
        """The next line. Raises what `read` raises."""
        ready, self.text = make_printable(self.text), ""
        line = self.read(f"{ready}\n{MESSAGE}" if ready else MESSAGE)
        if line.strip():
            self._history.append_string(line)
        return line

    def read(self, message: str) -> str:
        """What is entered behind the message. Raises EOFError at the end of input and
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
