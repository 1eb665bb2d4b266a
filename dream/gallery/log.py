"""dream_log.txt: one line per picture, and each makes its picture again.

    outputs/img-samples/000042.1234567.png: "a red circle" -s20 … # sha256:0123456789abcdef

A line is appended in one write while the log is locked, and is whole or absent: what a full disk
cut short is taken back, what a power cut tore is finished or ended before the next line begins.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from dream.core.bounded_reading import read_bounded
from dream.core.errors import GalleryError
from dream.core.own_files import LARGEST, lock, open_own, read_own
from dream.core.plain_text import join_lines_of_text, make_printable
from dream.core.request import ADAPTER_FIELDS, IMAGE_FILE_FIELDS
from dream.gallery.folder import suggest_names
from dream.gallery.text_lines import UTF16_MARKS, decoded, text_lines

LOG_NAME = "dream_log.txt"

_UNSAFE = re.compile(r"""^[#!\["'\s-]|^//|: |[`$;&|<>'\x00-\x1f\x7f-\x9f\u2028\u2029]""")
_ENDING = re.compile(r"\.(?:png|jpg|webp|avif): ")
"""The end of the path in a log line, in each format that dream writes."""
_FROM_A_SHELL = (Path("/dev/fd"), Path("/proc/self/fd"))
_LONGEST = 1 << 20
"""Bytes to look back for the beginning of a partial line."""


# ── the format of a line ───────────────────────────────────────────────────────────────────────


def join_lines(line: str) -> str:
    """The line without line breaks of any kind that Unicode has, so that the log has one image per
    line for every reader."""
    return join_lines_of_text(line)


def format_path(path: Path) -> str:
    """The beginning of a log line: the path as given, with forward slashes.

    A path that could be misread there (as a comment, a command, because of its own `: `, or by a
    shell) is replaced by the file's name, which is enough next to the log.
    """
    text = path.as_posix()
    return make_printable(path.name) if _UNSAFE.search(text) else text


_WEIGHTS = (
    *("weights", "text_encoder_weights", "decoder_weights", "face_weights", "upscaler_weights"),
)
"""Hashes of networks in a line's comment, by the names that they have in an image's record."""


_CONTROLS = ("control_model", "control_map", "image_prompt_model", "image_encoder")
"""The same of control models and of the networks that computed what they see; of IP-Adapters and of
their image encoders."""


def format_log_line(where: str, line: str, sha256: str, facts: Mapping[str, str]) -> str:
    """An image's line; `where` is its shown path. The comment has the hash of the model's files,
    of a text encoder that the line chose, of what decoded, restored faces and upscaled, and those
    of the input images, of the adapters and of the control models."""
    facts_shown = {"sha256": sha256[:16]}
    facts_shown |= {name: facts.get(name, "")[:8] for name in _WEIGHTS}
    for name in IMAGE_FILE_FIELDS:
        facts_shown[name] = ",".join(digest[:16] for digest in facts.get(name, "").split(","))
    facts_shown |= {name: facts.get(name, "") for name in (*ADAPTER_FIELDS, *_CONTROLS)}
    comment = " ".join(f"{name}:{value}" for name, value in facts_shown.items() if value)
    return f"{where}: {line} # {comment}"


def format_grid_line(where: str, comment: str) -> str:
    """A grid's line, which is a comment: a grid is made from images that have their own lines."""
    return f"# {where}: {comment}"


def parse_logged_name(line: str) -> str:
    """The file name of the image in a log line of any version; "" if there is none."""
    match = _ENDING.search(line)
    if match is None:
        return ""
    head = line[: match.end() - len(": ")]
    return head.removeprefix("# ").replace("\\", "/").rpartition("/")[2]


# ── reading ────────────────────────────────────────────────────────────────────────────────────


def read_log(
    path: Path, on_note: Callable[[str], None] = lambda text: None
) -> Iterator[tuple[int, str]]:
    """The lines of a log or of a list of prompts, numbered from 1; see `text_lines`, which reports
    an encoding other than UTF-8. Pipes are read only if a shell passes them, as `<(…)`. Raises
    GalleryError if the file does not exist, is not text, or has more than 256 MiB."""
    data = _read_data(path)
    return enumerate(list(text_lines(io.BytesIO(data), str(path), on_note)), 1)


def _read_data(path: Path) -> bytes:
    """The bytes of a log. Raises GalleryError."""
    try:
        return _data(path)
    except FileNotFoundError as error:
        raise GalleryError(f"there is no {path}", suggest_names(path)) from error
    except IsADirectoryError as error:
        hint = f"its log is {path / LOG_NAME}" if (path / LOG_NAME).exists() else ""
        raise GalleryError(f"{path} is a folder, not a log", hint) from error
    except (OSError, ValueError) as error:  # ValueError: an invalid file name
        why = getattr(error, "strerror", None) or error
        raise GalleryError(f"cannot read {path}: {why}") from error


def _data(path: Path) -> bytes:
    if path.parent not in _FROM_A_SHELL or path.is_file():
        return read_bounded(path, LARGEST)
    with path.open("rb") as file:  # it may be a pipe
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST:,} bytes")
    return data


class LogMark(NamedTuple):
    """Where a reader ended in a log, and what was before."""

    size: int = 0
    """Bytes up to there, which are whole lines."""
    digest: str = ""
    """Of these bytes."""


def read_log_after(path: Path, mark: LogMark) -> tuple[list[str], LogMark, bool]:
    """The lines of a log behind a mark, or all of them if what is before it changed; the mark
    behind them; and whether they are all. A line that is not ended yet is read again the next time.
    Raises GalleryError as `read_log` does."""
    data = _read_data(path)
    whole = not 0 < mark.size <= len(data) or _digest(data, mark.size) != mark.digest
    whole = whole or data.startswith(UTF16_MARKS)
    # The empty line in front: only the file's own first line tells its encoding.
    chunks = io.BytesIO(data) if whole else chain([b"\n"], io.BytesIO(data[mark.size :]))
    lines = list(text_lines(chunks, str(path), lambda text: None))
    end = data.rfind(b"\n") + 1
    return lines if whole else lines[1:], LogMark(end, _digest(data, end)), whole


def _digest(data: bytes, size: int) -> str:
    return hashlib.blake2b(memoryview(data)[:size], digest_size=16).hexdigest()


def read_last_lines(path: Path, size: int = 1 << 16) -> list[str]:
    """The last complete lines of the log, oldest first, of at most this many bytes; none if they
    cannot be read."""
    try:
        data = read_own(path, size + 1)  # and the byte before them, to know where a line begins
    except OSError:
        return []
    lines = data.split(b"\n")
    return [decoded(line)[0] for line in lines[len(data) > size :] if line]


def read_logged_names(path: Path) -> set[str]:
    """The names of all images with a complete line in the log; none if there is no log."""
    try:
        data = read_own(path)
    except FileNotFoundError:
        return set()
    whole = data[: data.rfind(b"\n") + 1].decode(errors="surrogateescape")
    return {name for line in whole.split("\n") if (name := parse_logged_name(line))}


# ── writing ────────────────────────────────────────────────────────────────────────────────────


class LogTail:
    """The end of an open, locked log."""

    def __init__(self, file: int) -> None:
        self._file = file

    def read_partial_line(self) -> str:
        """The text of an incomplete last line, which a power cut leaves; or ""."""
        return self._partial_line().decode(errors="surrogateescape")

    def append(self, *lines: str) -> None:
        """Append lines durably, or nothing at all. A partial last line is completed if the first
        line begins with it, otherwise it is ended with a line break. Raises OSError."""
        data = b"".join(_bytes(line) + b"\n" for line in lines)
        if partial := self._partial_line():
            data = data[len(partial) :] if data.startswith(partial) else b"\n" + data
        self._write(data)

    def _partial_line(self) -> bytes:
        size = os.lseek(self._file, 0, os.SEEK_END)
        if size == 0 or self._read(size - 1) == b"\n":
            return b""
        return self._read(max(0, size - _LONGEST)).rpartition(b"\n")[2]

    def _read(self, start: int) -> bytes:
        os.lseek(self._file, start, os.SEEK_SET)
        return os.read(self._file, _LONGEST)

    def _write(self, data: bytes) -> None:
        before = os.fstat(self._file).st_size
        done = 0
        try:
            while done < len(data):  # once, unless the disk is full
                done += os.write(self._file, data[done:])
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                # no other program wrote after this one
                if os.fstat(self._file).st_size == before + done:
                    os.ftruncate(self._file, before)
            raise


@contextmanager
def open_for_append(path: Path) -> Iterator[LogTail]:
    """The end of the log, locked against other programs until the block ends. Raises OSError, also
    if the log is a link: whoever created the folder chose its target."""
    file = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        lock(file)
        yield LogTail(file)
    finally:
        os.close(file)


def _bytes(line: str) -> bytes:
    try:
        return line.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate, which no file can contain
        return line.encode(errors="replace")
