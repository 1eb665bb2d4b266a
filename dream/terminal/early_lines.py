"""Reads the lines that are entered while the rest of dream is imported, and saves them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.terminal.edit_line import EditLine
from dream.terminal.history_file import LEAVE, LineHistory
from dream.terminal.key_bindings import PendingInput

if TYPE_CHECKING:
    from dream.queue import QueueFile


class EarlyLines:
    """Lines that no session has yet. They are in a queue file of their own until one has them, so
    that a later session is offered them if this program dies."""

    def __init__(
        self, edit: EditLine, pending: PendingInput, history: LineHistory, outdir: Path
    ) -> None:
        self._edit, self._pending, self._history = edit, pending, history
        self._outdir = outdir
        self._file: QueueFile | None = None
        self.lines: list[str] = []
        """In the order in which they were entered."""

    async def read_until(
        self, reading: asyncio.Future[str], opened: asyncio.Future[Any]
    ) -> asyncio.Future[str]:
        """Read lines until the session is open. Returns the line that is being typed then, or the
        one that ends the session. `reading` is the first line."""
        while not opened.done():
            await asyncio.wait([reading, opened], return_when=asyncio.FIRST_COMPLETED)
            if opened.done() or not reading.done():
                break
            if reading.exception() or reading.result().strip() in LEAVE:
                await asyncio.wait([opened])
                break
            first, *others = self._pending.take_lines(reading.result())
            self._history.append_strings(others)
            self._save([first, *others])
            reading = asyncio.ensure_future(self._edit.read_line())
        return reading

    def _save(self, lines: list[str]) -> None:
        from dream.queue import QueueFile  # imported once the prompt is shown

        self.lines += lines
        if self._file is None:
            self._file = QueueFile(self._outdir, self._pending.notes.append)
        self._file.add([line for line in lines if not line.lstrip().startswith(("#", "//"))])

    def hand_over(self, file: QueueFile, store: Callable[[], None]) -> None:
        """Have the session's file hold the lines; `store` writes them into it."""
        if self._file is not None:
            file.adopt(self._file)
            store()
            self._file.write(())
            self._file.close()
            self._file = None
