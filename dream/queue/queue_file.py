"""Saves the waiting lines, so that the next session finds them after a crash."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from dream.core.own_files import new_beside
from dream.queue import journal
from dream.queue.locked import append, hold, lock

FILE_NAME = ".dream_queue"

_LONGEST = 1 << 24
"""Maximum bytes of a file whose lines are offered; a session has only a few."""
_MAX_STALE = 100
"""The file is rewritten when it has this many more stale lines than waiting ones."""
_SESSIONS = 100
"""Maximum number of sessions in one folder that save their lines at the same time."""


class QueueFile:
    """The lines of one session, the next one first, in a file of their own; see `journal`.

    Each session holds a lock on its file: `.dream_queue`, or `.dream_queue.2` … if another session
    has that one. The system releases a lock when its process ends, in whatever way, so a file
    without a lock was left by a crash; a new session takes it over. A change is appended at once,
    so that it survives the session; another thread syncs it to disk, and rewrites the file when
    most of it is stale. Enter waits for neither.
    """

    def __init__(self, folder: Path, complain: Callable[[str], None]) -> None:
        """`complain` is called once with the reason if the lines cannot be saved."""
        self._folder, self._complain = folder, complain
        self._path = folder / FILE_NAME
        self._held: IO[bytes] | None = None
        self._left: set[Path] = set()
        self.on_disk = False
        """Whether the lines after the last change, or those that were taken over, are on disk."""
        self._lines: list[str] = []
        self._stale = 0  # lines of the file without effect
        self._rewrite = False  # whether the file has to be rewritten
        self._guard = threading.RLock()
        self._pending: list[bytes] | None = None  # changes while the file is being rewritten
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def read_abandoned(self) -> tuple[str, ...]:
        """The lines that an earlier session left. They stay on disk until the next change."""
        for path in self._places():
            with suppress(OSError):  # continue with the next if one cannot be read
                held = None if path in self._left else hold(path, create=False)
                if held is None:
                    continue
                if os.fstat(held.fileno()).st_size > _LONGEST:
                    held.close()
                    continue
                if lines := tuple(journal.read(held.read())):
                    self._path, self._held = path, held
                    self._lines, self._rewrite, self.on_disk = [], True, True
                    return lines
                path.unlink(missing_ok=True)
                held.close()
        return ()

    def leave(self) -> None:
        """Release the lines that were taken over: they stay on disk for a later session, and this
        one uses another file."""
        if self._held is not None:
            self._left.add(self._path)
            self._held.close()
            self._held = None

    def adopt(self, other: QueueFile) -> None:
        """Continue in the file of another, unless this one has its own. Its lines stay until the
        next change."""
        with self._guard, other._guard:
            if self._held is None and other._held is not None:
                self._path, self._held, self._rewrite = other._path, other._held, True
                other._held = None

    # ── changes; none of them raises ───────────────────────────────────────────────────────────

    def write(self, lines: Sequence[str]) -> None:
        """Save these lines and no others."""
        with self._guard:
            self._lines, self._rewrite = list(lines), True
            self._change(b"", 0)

    def add(self, lines: Sequence[str]) -> None:
        """Save these lines too, after the others."""
        with self._guard:
            self._lines += lines
            self._change(journal.format_added(lines), 0)

    def remove(self, place: int) -> None:
        """Remove the line at this place, from 0."""
        with self._guard:
            if place < len(self._lines):  # otherwise the session has ended meanwhile
                del self._lines[place]
                self._change(journal.format_removed(place), 2)

    def move(self, place: int, to: int) -> None:
        """Move the line at this place to another."""
        with self._guard:
            self._lines.insert(to, self._lines.pop(place))
            self._change(journal.format_moved(place, to), 1)

    def replace(self, place: int, lines: Sequence[str]) -> None:
        """Replace the line at this place by these."""
        with self._guard:
            if place < len(self._lines):
                change = journal.format_replaced(place, lines, len(self._lines))
                self._lines[place : place + 1] = lines
                self._change(change, 2 + len(lines))

    def close(self) -> None:
        """Close the file; an empty one is removed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._changed.set()
            thread.join(timeout=5)
        with self._guard:
            if self._held is None:
                return
            with suppress(OSError):
                if not journal.read(self._path.read_bytes()):
                    self._path.unlink()
                else:
                    os.fsync(self._held.fileno())
            self._held.close()
            self._held, self._lines, self._pending = None, [], None

    # ── the file ───────────────────────────────────────────────────────────────────────────────

    def _change(self, data: bytes, stale: int) -> None:
        """Append a change, which makes this many lines of the file stale."""
        self.on_disk = False
        try:
            if self._held is None and self._lines:
                self._take_place()
                self._rewrite = True
            if self._held is not None:
                if self._rewrite:
                    self._write_whole(journal.format_added(self._lines))
                elif not self._lines:
                    self._held.truncate(0)
                    self._stale, self._pending = 0, None
                else:
                    append(self._held, data)
                    self._stale += stale
                    if self._pending is not None:
                        self._pending.append(data)
                self.on_disk = True
        except OSError as error:
            self._rewrite = True
            self._report_error(error)
            return
        if self._thread is None and self._held is not None:
            self._thread = threading.Thread(target=self._sync, name="queue-sync", daemon=True)
            self._thread.start()
        self._changed.set()

    def _report_error(self, error: OSError) -> None:
        self._complain(f"queued lines cannot be saved: {self._path}: {error.strerror or error}")
        self._complain = lambda text: None

    def _write_whole(self, data: bytes) -> None:
        """Write the file as a whole. Raises OSError."""
        self._swap(self._write_new(data))

    def _write_new(self, data: bytes) -> tuple[Path, IO[bytes]]:
        # Prompts are private: like the history, the file is readable by its owner only.
        temporary, handle = new_beside(self._path)
        file = os.fdopen(handle, "w+b", buffering=0)
        try:
            append(file, data)
        except OSError:
            file.close()
            temporary.unlink(missing_ok=True)
            raise
        return temporary, file

    def _swap(self, new: tuple[Path, IO[bytes]]) -> None:
        """Replace the old file by the new one. Raises OSError."""
        temporary, file = new
        held = self._held
        assert held is not None
        if sys.platform == "win32":  # an open file cannot be replaced here, so copy the contents
            with file:
                file.seek(0)
                data = file.read()
            temporary.unlink(missing_ok=True)
            held.seek(0)
            held.truncate()
            append(held, data)
        else:
            try:
                lock(file)
                temporary.replace(self._path)
            except OSError:
                file.close()
                temporary.unlink(missing_ok=True)
                raise
            held.close()
            self._held = file
        self._stale, self._rewrite, self._pending = 0, False, None

    def _sync(self) -> None:
        """The other thread: syncs changes to disk, and rewrites the file when it has many stale
        lines."""
        me = threading.current_thread()
        while self._thread is me:
            self._changed.wait()
            self._changed.clear()
            try:
                if self._stale > len(self._lines) + _MAX_STALE:
                    self._compact()
                self._flush()
            except OSError as error:
                self._report_error(error)

    def _flush(self) -> None:
        with self._guard:
            if self._held is None:
                return
            file = os.dup(self._held.fileno())  # the main thread may close the original
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def _compact(self) -> None:
        """Rewrite the file, while changes are still appended to the old one."""
        with self._guard:
            held, lines, changes = self._held, list(self._lines), list[bytes]()
            if held is None or self._rewrite:
                return
            self._pending = changes
        temporary, file = self._write_new(journal.format_added(lines))
        os.fsync(file.fileno())
        with self._guard:
            if self._pending is not changes:  # it was rewritten or closed meanwhile
                file.close()
                temporary.unlink(missing_ok=True)
                return
            append(file, b"".join(changes))
            self._swap((temporary, file))
            self._stale = 2 * len(changes)

    def _places(self) -> Iterator[Path]:
        first = self._folder / FILE_NAME
        yield first
        yield from (first.with_name(f"{FILE_NAME}.{n}") for n in range(2, _SESSIONS + 1))

    def _take_place(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        refused = OSError(0, "too many sessions use this folder")
        for path in self._places():
            try:
                held = hold(path, create=True)
            except OSError as error:  # a link, a folder, or another user's file: try the next
                refused = error
                continue
            if held is None:
                continue
            small = os.fstat(held.fileno()).st_size <= _LONGEST
            # otherwise a session that has crashed since then left it
            if small and not journal.read(held.read()):
                self._path, self._held = path, held
                return
            held.close()
        raise refused
