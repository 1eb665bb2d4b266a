"""Checks entered lines: those that make images are queued, the others run at once.

A check takes about 0.3 ms, and ten thousand lines may be pasted. So lines are checked a few at a
time, and keys are read in between. The lines that remain unchecked are in the queue file too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dream.commands import (
    Context,
    TextOutput,
    get_questions,
    is_command,
    is_queued,
    run_line,
)
from dream.core.events import Event
from dream.core.messages import count_lines
from dream.line import is_skipped
from dream.queue import LineQueue, UncheckedLine
from dream.terminal.history_file import LEAVE
from dream.terminal.questions import ask_for_key, ask_for_words
from dream.terminal.screen import Screen
from dream.terminal.toolbar import Toolbar

CHECKED_AT_ONCE = 10
"""Lines that are checked before keys are read again."""


class EnteredLines:
    """Checks the lines of one session in the order in which they were entered."""

    def __init__(
        self,
        context: Context,
        queue: LineQueue,
        screen: Screen,
        toolbar: Toolbar,
        show: Callable[[Event], None],
        make_room: Callable[[], Awaitable[None]],
    ) -> None:
        """`show` shows the events of lines that run at once. `make_room` removes the edit line, so
        that a question can be asked."""
        self._context, self._queue = context, queue
        self._screen, self._toolbar, self._show = screen, toolbar, show
        self._make_room = make_room

    def add(self, lines: Sequence[str], *, is_shown: bool = False) -> None:
        """Have these lines checked after all others; with `is_shown` the user sees the first of
        them on the screen."""
        is_shown = is_shown and self.is_checked  # else other output comes between
        entries = [UncheckedLine(line, is_shown and not n) for n, line in enumerate(lines)]
        self._queue.add_unchecked([entry for entry in entries if not is_skipped(entry.line)])

    @property
    def is_checked(self) -> bool:
        """Whether every line was checked."""
        return self._queue.next_unchecked is None

    async def check_some(self) -> bool:
        """Check the next few lines; True if one of them ends the session."""
        for _ in range(CHECKED_AT_ONCE):
            if (entry := self._queue.next_unchecked) is None:
                return False
            if await self._check(entry):
                return True
        self._queue.store_unchecked()
        return False

    async def confirm_quit(self) -> bool:
        """Whether to quit now; asks if there are unfinished lines."""
        if self._queue.idle:
            return True
        lines = count_lines(self._queue.count_waiting + len(self._queue.running))
        question = f"{lines} unfinished; y: quit and keep, w: quit when done, n: stay"
        self._queue.store_unchecked()
        await self._make_room()
        try:
            answer = await ask_for_key(question, "ywn", {"yes": "y", "no": "n"})
        except EOFError:
            answer = "y"
        self._toolbar.leaving = answer == "w"
        return answer == "y" or (answer == "w" and self._queue.idle)

    async def _check(self, entry: UncheckedLine) -> bool:
        is_leaving = entry.line.strip() in LEAVE
        never_offered = is_leaving or is_command(entry.line)  # by a later session
        if never_offered:
            self._queue.resolve_unchecked(entry, ())
        if is_leaving:
            return await self.confirm_quit()
        try:
            complete = await self._ask_questions(entry.line)
        except EOFError:
            return True  # the session ends
        runs_at_once = not all(is_queued(self._context, line) for line in complete)
        queued = () if runs_at_once else complete
        if never_offered:
            self._queue.put(queued)
        else:
            self._queue.resolve_unchecked(entry, queued)
        for line in complete if runs_at_once else ():
            if not entry.is_shown:
                self._screen.begin(line)
            for event in run_line(self._context, line, turn=False):
                self._show(event)
        return False

    async def _ask_questions(self, line: str) -> Sequence[str]:
        """Ask the user what a line leaves open; returns the complete lines. Raises EOFError if the
        session ends meanwhile."""
        asking = get_questions(self._context, line)
        try:
            question = next(asking)
            while True:
                if self._queue.count_waiting > 1:
                    self._queue.store_unchecked()  # the answer may never come
                await self._make_room()
                if question.about:
                    self._screen.show(TextOutput(lines=question.about))
                answer = (
                    await ask_for_key(question.text, question.keys)
                    if question.keys
                    else await ask_for_words(question.text, question.default)
                )
                if answer is None:
                    self._screen.say("cancelled; the line is in the history")
                    return ()
                question = asking.send(answer)
        except StopIteration as end:
            return tuple(end.value)
