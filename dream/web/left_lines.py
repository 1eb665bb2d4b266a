"""Lines that an earlier session left when it died, offered on the page where there is no prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dream.commands import is_command
from dream.queue import QueueFile


class LeftLines:
    """The unfinished lines of a folder. They stay on disk until somebody decides."""

    def __init__(self, folder: Path, complain: Callable[[str], None]) -> None:
        self._file = QueueFile(folder, complain)
        # Commands are never offered: somebody else may have written them into the folder.
        self.lines = tuple(line for line in self._file.read_abandoned() if not is_command(line))

    def take(self) -> tuple[str, ...]:
        """The lines, which are no longer kept here; the caller queues or discards them."""
        lines, self.lines = self.lines, ()
        if lines:
            self._file.write(())
        self._file.close()
        return lines

    def close(self) -> None:
        """Leave the rest for a later session."""
        self._file.close()
