"""Serves a session without a prompt, until a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.errors import INTERRUPTED
from dream.core.events import Cancelled, Event, Failed, Note, Saved
from dream.core.messages import count_lines, format_event
from dream.queue import LineQueue, QueuedLine, QueueFile
from dream.session import Session
from dream.web.access import WebOptions
from dream.web.left_lines import LeftLines
from dream.web.web_server import serve

_STOP_TIMEOUT = 10.0
"""Seconds to wait at the end for the current image to be cancelled."""


def serve_alone(session: Session, options: WebOptions, say: Callable[[str], None]) -> int:
    """Serve until Ctrl-C, SIGTERM or SIGHUP; the exit status, as at the prompt. Unfinished lines
    stay on disk for the next session."""
    left = LeftLines(session.outdir, say)
    store = QueueFile(session.outdir, say)
    queue = LineQueue(store, session.engine.interrupt)
    runner = LineRunner(Context(session, lambda: (), COMMANDS, queue=queue), queue)
    ended = _Ended()
    bugs: list[BaseException] = []

    def report_bug(error: BaseException) -> None:
        bugs.append(error)
        ended.event.set()

    runner.on_bug = report_bug
    runner.listeners.append(_Output(say))
    with ExitStack() as stack:
        stack.enter_context(_signals(ended))
        server = stack.enter_context(serve(runner, options, left))
        runner.start()
        say(f"dream serves {server.url} (Ctrl-C to quit)")
        if left.lines:
            say(f"{count_lines(len(left.lines))} unfinished when dream ended; the page offers them")
        ended.event.wait()
        queue.close()
        runner.wait(_STOP_TIMEOUT)
    if unfinished := queue.unfinished:
        state = "kept for the next session here" if store.on_disk else "not saved"
        say(f"{count_lines(unfinished)} {state}")
    store.close()
    left.close()
    if bugs:
        raise bugs[0]
    return ended.status


class _Output:
    """Says what the prompt would show of a line: its images, what failed, and what could not be
    done of a client's request; neither steps nor the words of clients."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def begin_line(self, entry: QueuedLine) -> None:
        """Nothing to say."""

    def show_event(self, entry: QueuedLine, event: Event) -> None:
        """Implements LineListener."""
        is_of_client = isinstance(event, Note) and event.text in entry.notes
        if is_of_client or isinstance(event, Saved | Failed | Cancelled):
            self._say(format_event(event) or "")

    def end_line(self, entry: QueuedLine) -> None:
        """Nothing to say."""


class _Ended:
    """Whether a signal has come, and the exit status."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.status = 0


@contextmanager
def _signals(ended: _Ended) -> Iterator[None]:
    """In the block, signals end the server, in the main thread."""

    def end(number: int, frame: FrameType | None) -> None:
        ended.status = INTERRUPTED if number == signal.SIGINT else 128 + number
        ended.event.set()

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    former = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
