"""The living prompt: a line is typed while another is made.

One thread makes the lines of the queue, one after the other. This one reads keys and shows what
happens, and is never waited for: events come to it through the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

from dream.commands import (
    COMMANDS,
    Context,
    InsertText,
    TextOutput,
    get_questions,
    is_queued,
    run_line,
)
from dream.core.events import Event, Failed, Loading
from dream.core.messages import count_lines
from dream.line import is_skipped
from dream.queue import LineQueue, QueuedLine, QueueFile, follow_until_cancelled
from dream.session import Session
from dream.terminal.auto_suggest import HistorySuggest
from dream.terminal.completer import LineCompleter, should_open_menu
from dream.terminal.edit_line import EditLine, PromptInterrupted
from dream.terminal.highlight import LineLexer
from dream.terminal.history_file import LEAVE, LineHistory
from dream.terminal.key_bindings import PendingInput
from dream.terminal.live_check import CheckResult, LineChecker
from dream.terminal.questions import ask_for_key, ask_for_words
from dream.terminal.restart_offer import offer
from dream.terminal.screen import PreparedImage, Screen
from dream.terminal.signals import SessionEnded
from dream.terminal.toolbar import Toolbar
from dream.worker.crash import to_dream_error

_TWICE = 1.0
"""Seconds within which a second Ctrl-C means: and the waiting lines too."""
_PATIENCE = 10.0
"""Seconds that the picture being made is given to be given up, when the session ends."""


class InteractiveSession:
    """One session at the edit line, which stands there already. `run` is all there is to it."""

    def __init__(
        self,
        studio: Session,
        screen: Screen,
        edit: EditLine,
        desk: PendingInput,
        history: LineHistory,
    ) -> None:
        self._studio, self._screen = studio, screen
        self._edit, self._desk, self._history = edit, desk, history
        self._kept = QueueFile(studio.outdir, desk.notes.append)
        self._queue = LineQueue(self._kept, studio.engine.interrupt)
        self._context = Context(studio, history.read_lines, COMMANDS, history.clear, self._queue)
        self._toolbar = Toolbar(self._context, self._queue, screen.columns)
        self._maker = Thread(target=self._make, name="maker", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._cancelled_at = float("-inf")
        self._move_in()

    def _move_in(self) -> None:
        """What knows models and commands comes to the edit line."""
        self._edit.above, self._edit.below = self._screen.get_live_rows, self._toolbar
        self._edit.interrupt = self._interrupt
        self._edit.completer = LineCompleter(self._context)
        self._edit.complete_while_typing = should_open_menu
        self._edit.auto_suggest = HistorySuggest()
        self._edit.lexer = LineLexer(self._context.commands)
        self._checker = LineChecker(self._context, self._judged)
        self._edit.default_buffer.on_text_changed += self._checker.on_change
        self._checker.on_change(self._edit.default_buffer)

    async def run(self, first: asyncio.Future[str]) -> int:
        """Until the person leaves or the terminal does; the exit status. What was not made is kept
        on disk. `first` is the line that is being typed already."""
        ended: SessionEnded | None = None
        self._maker.start()
        self._say_notes()
        try:
            if left := await offer(self._kept, self._screen, partial(self._aside, first)):
                await self._put_offered(left)
            lines = await self._lines(first)
            while not await self._enter(lines):
                lines = await self._lines(self._edit.read_line())
        except SessionEnded as end:
            ended = end
        except (EOFError, OSError):  # the terminal may be gone before its signal comes
            ended = (
                self._edit.exit_error if isinstance(self._edit.exit_error, SessionEnded) else None
            )
            if ended is None:
                raise
        finally:
            await self._close()
        return ended.status if ended else 0

    # ── lines in ───────────────────────────────────────────────────────────────────────────────

    async def _lines(self, entered: Awaitable[str]) -> Sequence[str]:
        """What is entered next: a line, with those that were pasted behind it."""
        try:
            line = await entered
        except PromptInterrupted:
            line = await self._edit.read_line()
        except EOFError:
            return LEAVE[:1]
        self._checker.on_enter()
        # What cannot be UTF-8 (bytes of another encoding, pasted) is shown as such, once and for
        # all. A line break can be typed, with Ctrl-V or as a key of the editor; it ends a line.
        first, *others = line.encode(errors="replace").decode().split("\n")
        others += self._desk.waiting
        self._desk.waiting.clear()
        for other in others:
            self._history.append_string(other)
        self._screen.note_typed_line(first)
        self._say_notes()
        return [first, *others]

    async def _enter(self, lines: Sequence[str]) -> bool:
        """Queue what takes its turn, do the rest at once; True to leave."""
        turns: list[str] = []
        for index, line in enumerate(lines):
            meant = await self._ask_questions(line)
            if meant and meant[0].strip() in LEAVE:
                self._queue.put(turns)
                return await self._may_leave()
            if all(is_queued(self._context, one) for one in meant):
                turns += meant
                continue
            self._queue.put(turns)
            turns = []
            for one in meant:
                if index and not is_skipped(one):
                    self._screen.begin(one)
                for event in run_line(self._context, one, turn=False):
                    self._show(event)
        self._queue.put(turns)
        self._say_notes()
        return False

    async def _put_offered(self, left: Sequence[str]) -> None:
        """Queue lines of a session before this one, which ask what they would have asked then."""
        lines: list[str] = []
        for line in left:
            meant = await self._ask_questions(line)
            if meant and meant[0].strip() in LEAVE:
                return  # the session ends; they are still on disk
            lines += meant
        self._queue.put(lines)

    async def _ask_questions(self, line: str) -> Sequence[str]:
        """The line, or those that say all that it left open: its person is asked."""
        asking = get_questions(self._context, line)
        try:
            question = next(asking)
            while True:
                if question.about:
                    self._screen.show(TextOutput(lines=question.about))
                answer = (
                    await ask_for_key(question.text, question.keys)
                    if question.keys
                    else await ask_for_words(question.text, question.default)
                )
                if answer is None:
                    self._screen.say("given up; the line is in the history")
                    return ()
                question = asking.send(answer)
        except StopIteration as end:
            done: tuple[str, ...] = end.value
            return done
        except EOFError:  # the session ends
            return LEAVE[:1]

    async def _aside(self, first: asyncio.Future[str]) -> None:
        """Have the line that is being typed make room for a question."""
        if not first.done():
            self._edit.put_aside()
            with suppress(PromptInterrupted):
                await first

    async def _may_leave(self) -> bool:
        """Whether to leave now, with lines that are not made."""
        if self._queue.idle:
            return True
        count = len(self._queue.waiting) + (self._queue.current is not None)
        question = f"{count_lines(count)} not made; y: leave and keep, w: leave when made, n: stay"
        try:
            answer = await ask_for_key(question, "ywn", {"yes": "y", "no": "n"})
        except EOFError:
            answer = "y"
        self._toolbar.leaving = answer == "w"
        return answer == "y" or (answer == "w" and self._queue.idle)

    # ── what happens ───────────────────────────────────────────────────────────────────────────

    def _show(self, event: Event, drawn: PreparedImage | None = None) -> None:
        self._toolbar.handle_event(event)
        if isinstance(event, InsertText):
            self._put(event.text)
        elif not isinstance(event, Loading):  # which the toolbar tells
            self._screen.show(event, drawn)
        self._edit.app.invalidate()

    def _put(self, text: str) -> None:
        """Text into the edit line, or into the next one if somebody is typing."""
        buffer = self._edit.default_buffer
        if self._edit.app.is_running and not buffer.text:
            buffer.text, buffer.cursor_position = text, len(text)
        else:
            self._desk.put(text)

    def _line_started(self, entry: QueuedLine) -> None:
        self._screen.begin(entry.line)

    def _ended(self) -> None:
        self._toolbar.clear()
        self._screen.clear_progress()
        self._edit.app.invalidate()
        if self._toolbar.leaving and self._queue.idle:
            self._edit.leave(EOFError())

    def _judged(self, verdict: CheckResult | None) -> None:
        self._toolbar.verdict = verdict
        self._edit.app.invalidate()

    def _say_notes(self) -> None:
        while self._desk.notes:
            self._screen.say(self._desk.notes.pop())

    def _make(self) -> None:
        try:
            self._studio.preload()
            while (entry := self._queue.take()) is not None:
                self._run_in_main(self._line_started, entry)
                try:
                    events = run_line(self._context, entry.line, turn=True)
                    follow_until_cancelled(events, self._queue.is_cancelled, self._tell)
                except Exception as error:
                    self._run_in_main(
                        self._show, Failed(error=to_dream_error(error), line=entry.line)
                    )
                self._queue.finish()
                self._run_in_main(self._ended)
        except BaseException as error:  # a bug; it ends the session, and is shown where all end
            self._run_in_main(self._edit.leave, error)

    def _tell(self, event: Event) -> None:
        # Drawn here, for it takes longer than a key may wait.
        self._run_in_main(self._show, event, self._screen.prepare(event))

    def _run_in_main(self, do: Callable[..., None], *values: Any) -> None:
        """Have this thread's affairs done in the other one."""

        def safely() -> None:
            try:
                do(*values)
            except BaseException as error:
                self._edit.leave(error)

        with suppress(RuntimeError):  # the loop is closed: nobody is there to see it
            self._loop.call_soon_threadsafe(safely)

    def _interrupt(self) -> None:
        """Ctrl-C: clear what is being typed; of an empty line, give up the line being made, and
        soon again all others; where nothing is made, say how to leave."""
        now = time.monotonic()
        if self._edit.app.is_running and self._edit.default_buffer.text:
            self._edit.clear_or_help()
        elif now - self._cancelled_at < _TWICE:
            if count := self._queue.cancel_all():
                self._screen.say(f"and {count} waiting line{'s' if count > 1 else ''} given up")
        elif self._queue.cancel_current() is not None:
            self._cancelled_at = now
        else:
            self._edit.clear_or_help()
            self._say_notes()

    async def _close(self) -> None:
        kept = len(self._queue.waiting) + (self._queue.current is not None)
        self._queue.close()
        if self._maker.is_alive():
            await asyncio.to_thread(self._maker.join, _PATIENCE)
        await asyncio.sleep(0)  # its last words
        if kept:
            with suppress(OSError):
                kept_so = "kept for the next session here" if self._kept.on_disk else "not kept"
                self._screen.say(f"{count_lines(kept)} {kept_so}")
        self._kept.close()
