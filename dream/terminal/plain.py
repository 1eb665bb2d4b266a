"""The prompt of a terminal that can only print: no colours, no menus, nothing below the line. The
system edits it, and each line is made before the next is asked for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

from prompt_toolkit.history import History

from dream.commands import COMMANDS, Asking, Context, Edit, Page, act, asked
from dream.events import Event
from dream.interrupts import Interrupts
from dream.plain_text import printable
from dream.studio import Studio
from dream.terminal.history import FILE_NAME, LEAVE, LineHistory
from dream.terminal.show import Screen
from dream.terminal.style import MESSAGE


def converse_plainly(studio: Studio, screen: Screen) -> int:
    """The loop: for each line that is entered, do it and show what happens."""
    notes: list[str] = []
    history = LineHistory(studio.outdir / FILE_NAME, notes.append)
    context = Context(studio, history.lines, COMMANDS, history.clear)
    ask = PlainPrompt(history, screen.write)

    def show(event: Event) -> None:
        if isinstance(event, Edit):
            ask.text = event.text
        else:
            screen.show(event)

    with Interrupts() as interrupts:
        studio.warm()
        for line in _entered(ask, screen):
            while notes:
                screen.say(notes.pop())
            for meant in _meant(asked(context, line), ask, screen):
                interrupts.follow(act(context, meant), show)
    return 0


def _entered(ask: PlainPrompt, screen: Screen) -> Iterator[str]:
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
        screen.typed(line)
        yield line


def _meant(asking: Asking, ask: PlainPrompt, screen: Screen) -> tuple[str, ...]:
    """The line, or those that say all that it left open: its person is asked."""
    try:
        question = next(asking)
        while True:
            if question.about:
                screen.show(Page(lines=question.about))
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


class PlainPrompt:
    """Asks for lines on standard input, through `write`. History is kept, though no key recalls
    it."""

    def __init__(self, history: History, write: Callable[[str], None]) -> None:
        self._history, self._write = history, write
        self.text = ""
        """What the next line should begin with. It cannot be edited here; it is shown, to be
        copied."""

    def __call__(self) -> str:
        """The next line. Raises what `read` raises."""
        ready, self.text = printable(self.text), ""
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
