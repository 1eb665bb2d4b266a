"""Run the interactive prompt: the user types while lines of the queue are rendered.

One thread runs the lines of the queue, one after the other. The main thread reads keys and shows
events, and never blocks: events reach it through the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from dream.commands import COMMANDS, Context, InsertText
from dream.commands.check_line import CheckResult
from dream.commands.line_runner import LineRunner
from dream.core.events import Event, Loading
from dream.core.messages import count_lines
from dream.queue import LineQueue, QueuedLine, QueueFile
from dream.session import Session
from dream.terminal.auto_suggest import HistorySuggest
from dream.terminal.completer import LineCompleter, should_open_menu
from dream.terminal.early_lines import EarlyLines
from dream.terminal.edit_line import EditLine, PromptInterrupted
from dream.terminal.entered_lines import EnteredLines
from dream.terminal.highlight import LineLexer
from dream.terminal.history_file import LEAVE, LineHistory
from dream.terminal.key_bindings import PendingInput
from dream.terminal.live_check import LineChecker
from dream.terminal.restart_offer import offer
from dream.terminal.screen import PreparedImage, Screen
from dream.terminal.signals import SessionEnded
from dream.terminal.toolbar import Toolbar

_DOUBLE_PRESS = 1.0
"""Seconds within which a second Ctrl-C also cancels the waiting lines."""
_CHECK_PAUSE = 0.001
"""Seconds in which keys are read and drawn, before a few more entered lines are checked."""
_STOP_TIMEOUT = 10.0
"""Seconds to wait at the end of the session for the current image to be cancelled."""


class InteractiveSession:
    """One session at an edit line that is already shown. Call `run`."""

    def __init__(
        self,
        session: Session,
        screen: Screen,
        edit: EditLine,
        pending: PendingInput,
        history: LineHistory,
    ) -> None:
        self._session, self._screen = session, screen
        self._edit, self._pending, self._history = edit, pending, history
        self._file = QueueFile(session.outdir, pending.notes.append)
        self._queue = LineQueue(self._file, session.engine.interrupt)
        self._context = Context(session, history.read_lines, COMMANDS, history.clear, self._queue)
        self._toolbar = Toolbar(self._context, self._queue, screen.columns)
        self._entered = EnteredLines(
            self._context, self._queue, screen, self._toolbar, self._show, self._make_room
        )
        self.runner = LineRunner(self._context, self._queue)
        """Runs the lines of the queue; other front doors of this session listen to it."""
        self.runner.listeners.append(self)
        self.runner.on_bug = lambda error: self._run_in_main(self._edit.leave, error)
        self._loop = asyncio.get_running_loop()
        self._cancelled_at = float("-inf")
        self._set_up_edit_line()

    def _set_up_edit_line(self) -> None:
        """Give the edit line what needs models and commands: completion, highlighting, checks."""
        self._edit.above, self._edit.below = self._screen.get_live_rows, self._toolbar
        self._edit.interrupt = self._interrupt
        self._edit.completer = LineCompleter(self._context)
        self._edit.complete_while_typing = should_open_menu
        self._edit.auto_suggest = HistorySuggest()
        self._edit.lexer = LineLexer(self._context.commands)
        self._checker = LineChecker(self._context, self._show_check)
        self._edit.default_buffer.on_text_changed += self._checker.on_change
        self._checker.on_change(self._edit.default_buffer)

    async def run(self, first: asyncio.Future[str], early: EarlyLines) -> int:
        """Run until the user quits or the terminal closes; the exit status. Unfinished lines stay
        on disk. `first` is the line already being typed, after the `early` ones."""
        ended: SessionEnded | None = None
        self._reading = first
        self.runner.start()
        self._say_notes()
        try:
            self._entered.add(await offer(self._file, self._screen, self._make_room))
            self._take_over(early)
            await self._read_and_check_lines()
        except SessionEnded as end:
            ended = end
        except (EOFError, OSError):  # the terminal may close before its signal arrives
            error = self._edit.exit_error
            ended = error if isinstance(error, SessionEnded) else None
            if ended is None:
                raise
        finally:
            await self._close()
        return ended.status if ended else 0

    # ── input ──────────────────────────────────────────────────────────────────────────────────

    async def _read_and_check_lines(self) -> None:
        """Read lines, and check entered lines while the next one is typed, until the user quits."""
        while not (self._toolbar.leaving and self._queue.idle):
            if _was_put_aside(self._reading):
                self._reading = asyncio.ensure_future(self._edit.read_line())
            if not self._entered.is_checked and not self._reading.done():
                await asyncio.sleep(_CHECK_PAUSE)
                if await self._entered.check_some():
                    return
                continue
            try:
                first, *others = await self._read_lines()
            except PromptInterrupted:
                continue
            if first.strip() in LEAVE:
                self._entered.add(others)
                if await self._entered.confirm_quit():
                    return
            else:
                self._entered.add([first, *others], is_shown=True)
                if await self._entered.check_some():  # before the keys that were typed ahead
                    return
            self._reading = asyncio.ensure_future(self._edit.read_line())

    def _take_over(self, early: EarlyLines) -> None:
        """Have lines checked that were entered before there was a session."""
        if early.lines:
            self._screen.note_typed_line(early.lines[-1])
            self._entered.add(early.lines, is_shown=len(early.lines) == 1)
            early.hand_over(self._file, self._queue.store_unchecked)

    async def _read_lines(self) -> Sequence[str]:
        """Return the next entered line and the lines pasted after it."""
        try:
            line = await self._reading
        except EOFError:
            return LEAVE[:1]
        self._checker.on_enter()
        first, *others = self._pending.take_lines(line)
        self._history.append_strings(others)
        self._screen.note_typed_line(first)
        self._say_notes()
        return [first, *others]

    async def _make_room(self) -> None:
        """Interrupt the line being typed to make room for a question, or at the end."""
        self._edit.put_aside()
        await asyncio.wait([self._reading])
        if not self._reading.cancelled():
            self._reading.exception()  # is raised where it is awaited, and at the end nowhere

    # ── events ─────────────────────────────────────────────────────────────────────────────────

    def _show(self, event: Event, drawn: PreparedImage | None = None) -> None:
        self._toolbar.handle_event(event)
        if isinstance(event, InsertText):
            self._put(event.text)
        elif not isinstance(event, Loading):  # which the toolbar shows
            self._screen.show(event, drawn)
        self._edit.app.invalidate()

    def _put(self, text: str) -> None:
        """Insert text into the edit line, or into the next one if the user is typing."""
        buffer = self._edit.default_buffer
        if self._edit.app.is_running and not buffer.text:
            buffer.text, buffer.cursor_position = text, len(text)
        else:
            self._pending.put(text)

    def begin_line(self, entry: QueuedLine) -> None:
        """Implements LineListener, in the thread that runs the lines, as `show_event` and
        `end_line`."""
        self._run_in_main(self._screen.begin, entry.line)

    def show_event(self, entry: QueuedLine, event: Event) -> None:
        """Show an event of a queued line."""
        # Rendered in this thread because it would delay keys in the main one.
        self._run_in_main(self._show, event, self._screen.prepare(event))

    def end_line(self, entry: QueuedLine) -> None:
        """A queued line has ended."""
        self._run_in_main(self._end_line)

    def _end_line(self) -> None:
        self._toolbar.clear()
        self._screen.clear_progress()
        self._edit.app.invalidate()
        if self._toolbar.leaving and self._queue.idle:
            self._edit.leave(EOFError())

    def _show_check(self, check: CheckResult | None) -> None:
        self._toolbar.check = check
        self._edit.app.invalidate()

    def _say_notes(self) -> None:
        while self._pending.notes:
            self._screen.say(self._pending.notes.pop())

    def _run_in_main(self, do: Callable[..., None], *values: Any) -> None:
        """Call a function in the main thread."""

        def safely() -> None:
            try:
                do(*values)
            except BaseException as error:
                self._edit.leave(error)

        with suppress(RuntimeError):  # the loop is closed: the session has ended
            self._loop.call_soon_threadsafe(safely)

    def _interrupt(self) -> None:
        """Handle Ctrl-C: clear the edit line; if it is empty, cancel the current line, and on a
        second press soon after all waiting lines; if no line is running, tell how to quit."""
        now = time.monotonic()
        if self._edit.app.is_running and self._edit.default_buffer.text:
            self._edit.clear_or_help()
        elif now - self._cancelled_at < _DOUBLE_PRESS:
            if count := self._queue.cancel_all():
                self._screen.say(f"cancelled {count} waiting line{'s' if count > 1 else ''} too")
        elif self._queue.cancel_current() is not None:
            self._cancelled_at = now
        else:
            self._edit.clear_or_help()
            self._say_notes()

    async def _close(self) -> None:
        await self._make_room()
        self._queue.store_unchecked()
        self._queue.close()
        await asyncio.to_thread(self.runner.wait, _STOP_TIMEOUT)
        await asyncio.sleep(0)  # let its last events run
        if unfinished := self._queue.unfinished:
            with suppress(OSError):
                state = "kept for the next session here" if self._file.on_disk else "not saved"
                self._screen.say(f"{count_lines(unfinished)} {state}")
        self._file.close()


def _was_put_aside(reading: asyncio.Future[str]) -> bool:
    return (
        reading.done()
        and not reading.cancelled()
        and isinstance(reading.exception(), PromptInterrupted)
    )
